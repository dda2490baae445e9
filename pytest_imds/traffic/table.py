"""The table of the requests that have arrived at a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pytest_imds.traffic.exchange import Exchange
from pytest_imds.traffic.shortened import readable, shortened

# How many rows there are at the beginning and at the end, and how narrow the requests may become.
FIRST, LAST = 20, 20
NARROWEST = 16
REQUEST, LEFT = "request", ("request", "fault")
# How much of a body is shown, and how far to the right.
BODY, INDENT = 600, 6
# How long a reply takes that is worth a column.
WORTH_TELLING_S = 0.05


def table(exchanges: Sequence[Exchange], dropped: int, width: int, *, bodies: bool) -> Iterator[str]:
    """Yield the lines of a table of ``exchanges``.

    Args:
        exchanges: what has arrived.
        dropped: how many there were before that are not kept.
        width: how long a line may be.
        bodies: whether the bodies stand below each line.
    """
    left_out = exchanges[FIRST:-LAST]
    shown = [*exchanges[:FIRST], *exchanges[-LAST:]] if left_out else exchanges
    if not shown:
        return
    rows = [_row(exchange) for exchange in shown]
    if all(exchange.duration_s is not None and exchange.duration_s < WORTH_TELLING_S for exchange in shown):
        for row in rows:
            del row["took s"]
    columns = {name: max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]}
    others = sum(columns.values()) - columns[REQUEST] + 2 * (len(columns) - 1)
    columns[REQUEST] = max(NARROWEST, min(columns[REQUEST], width - others))
    yield _line({name: name for name in columns}, columns)
    if dropped:
        yield f"… {dropped} requests that are not kept"
    for place, (exchange, row) in enumerate(zip(shown, rows, strict=True)):
        if left_out and place == FIRST:
            yield f"… {len(left_out)} requests"
        yield _line(row, columns)
        if bodies:
            yield from _below(exchange, len(row[REQUEST]) > columns[REQUEST], width)


def _row(exchange: Exchange) -> dict[str, str]:
    return {
        "#": str(exchange.number),
        "at s": f"{exchange.at_s:.3f}",
        "took s": "-" if exchange.duration_s is None else f"{exchange.duration_s:.3f}",
        REQUEST: shortened(exchange.line),
        "reply": "none" if exchange.status is None else str(exchange.status),
        "fault": ", ".join([*exchange.faults, *(["via proxy"] if exchange.proxied else [])]),
    }


def _line(row: Mapping[str, str], columns: Mapping[str, int]) -> str:
    cells = []
    for name, cell in row.items():
        width = columns[name]
        cut = f"{cell[: width - 1]}…" if len(cell) > width else cell
        cells.append(cut.ljust(width) if name in LEFT else cut.rjust(width))
    return "  ".join(cells).rstrip()


def _below(exchange: Exchange, cut: bool, width: int) -> Iterator[str]:
    """Yield what stands below the line of a request: the whole of it if it is cut, and the bodies."""
    told = [("", shortened(exchange.line))] if cut else []
    told += [("> ", readable(exchange.body, BODY)), ("< ", readable(exchange.reply, BODY))]
    room = width - INDENT - 2
    for mark, text in told:
        for line in text.splitlines():
            for start in range(0, len(line), room):
                yield f"{'':{INDENT}}{mark}{line[start : start + room]}"
