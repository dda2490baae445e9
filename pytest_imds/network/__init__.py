"""How clients get to the server of a test: in this process, as children of it, by the environment; or not at all."""
