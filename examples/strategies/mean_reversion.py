"""Mean reversion: class attributes with annotations, as freqtrade and its kin have them."""

from dataclasses import dataclass


class MeanReversion:
    """Buys what fell two deviations below its mean, sells what came back."""

    timeframe: str = "1d"
    stop_loss_pct: float = 0.05
    take_profit_pct: float = 0.08
    trailing_stop_offset: float = 1e-2
    holding_period_days: int = 5

    # Not parameters of ours: a longer name, a comment (stop_loss_pct = 0.5), a string.
    min_stop_loss_pct = 0.01
    note = "stop_loss_pct = 0.5 was too loose"

    def __init__(self, window=20):
        self.window = window

    def signal(self, closes):
        recent = closes[-self.window:]
        mean = sum(recent) / len(recent)
        deviation = (sum((close - mean) ** 2 for close in recent) / len(recent)) ** 0.5
        return closes[-1] < mean - 2 * deviation


@dataclass
class Position:
    """An open position and its rules."""

    entry: float
    days: int = 0

    def leaves(self, close, rules=MeanReversion):
        change = close / self.entry - 1
        return (
            change <= -rules.stop_loss_pct
            or change >= rules.take_profit_pct
            or self.days >= rules.holding_period_days
        )
