"""Pairs trading: settings in a dict and in keyword arguments."""

SETTINGS = {
    "stop_loss_pct": .08,
    "take_profit_pct": 0.150,
    "holding_period_days": 1_0,
}


class Exit:
    """When to leave a pair."""

    def __init__(self, *, trailing_stop_offset, settings):
        self.trailing_stop_offset = trailing_stop_offset
        self.settings = settings

    def leaves(self, spread, best, days):
        return (
            spread <= -self.settings["stop_loss_pct"]
            or spread >= self.settings["take_profit_pct"]
            or best - spread >= self.trailing_stop_offset
            or days >= self.settings["holding_period_days"]
        )


def build():
    return Exit(trailing_stop_offset=0.015, settings=SETTINGS)
