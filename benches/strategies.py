"""Generated strategies: valid Python of a given length with the four default parameters at the top."""

HEAD = '''"""A strategy."""
import math

stop_loss_pct = 0.05
take_profit_pct = 0.10
trailing_stop_offset = 0.02
holding_period_days = 20
'''
FUNCTION = '''
def signal_{at}(prices, window={window}):
    total = 0.0
    for index, price in enumerate(prices[-window:]):
        total += price * {at}.5 / (index + 1)
    return math.tanh(total / max(1, window))
'''


def strategy(lines):
    """A strategy of so many lines."""
    text, at = [HEAD], 0
    count = HEAD.count("\n")
    while count + FUNCTION.count("\n") <= lines:
        text.append(FUNCTION.format(at=at, window=at % 50 + 3))
        count += FUNCTION.count("\n")
        at += 1
    return "".join(text) + "# The end.\n" * (lines - count)


def write(folder, lines, count=1):
    """So many strategies of so many lines; their paths."""
    folder.mkdir(parents=True)
    paths = [folder / f"strategy_{at:04}.py" for at in range(count)]
    for at, path in enumerate(paths):
        # None is the same as another.
        path.write_text(strategy(lines - 1) + f"# Number {at}.\n")
    return paths
