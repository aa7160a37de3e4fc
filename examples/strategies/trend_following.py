"""Trend following: parameters as pairs and as attributes set in __init__, as backtrader and vn.py have them."""


class TrendFollowing:
    """Holds while the fast average is above the slow one."""

    params = (
        ("fast", 20),
        ("slow", 100),
        ("stop_loss_pct", 0.12),
        ("take_profit_pct", 0.40),
    )

    def __init__(self):
        self.trailing_stop_offset = 0.035
        self.holding_period_days = 45
        self.high = None

    def parameter(self, name):
        return dict(self.params)[name]

    def leaves(self, close, entry, days):
        self.high = max(self.high or close, close)
        change = close / entry - 1
        return (
            change <= -self.parameter("stop_loss_pct")
            or change >= self.parameter("take_profit_pct")
            or close <= self.high * (1 - self.trailing_stop_offset)
            or days >= self.holding_period_days
        )
