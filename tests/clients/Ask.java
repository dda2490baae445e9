// Asks for the URL of its argument, with each of the two clients of Java, and writes a line for either.

import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URL;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;

class Ask {
    public static void main(String[] arguments) throws Exception {
        Duration timeout = Duration.ofSeconds(5);
        HttpRequest request =
                HttpRequest.newBuilder(URI.create(arguments[0])).header("Metadata", "true").timeout(timeout).build();
        HttpClient client = HttpClient.newBuilder().connectTimeout(timeout).build();
        System.out.println(client.send(request, BodyHandlers.ofString()).body());

        HttpURLConnection connection = (HttpURLConnection) new URL(arguments[0]).openConnection();
        connection.setRequestProperty("Metadata", "true");
        connection.setConnectTimeout((int) timeout.toMillis());
        connection.setReadTimeout((int) timeout.toMillis());
        System.out.println(new String(connection.getInputStream().readAllBytes()));
    }
}
