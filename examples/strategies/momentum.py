"""Breakout momentum: module-level settings, the plainest form."""

stop_loss_pct = 0.10          # give back at most this share of the entry price
take_profit_pct = 0.25
trailing_stop_offset = 0.02   # trails the highest close; try 0.01 in calm markets
holding_period_days = 20

LOOKBACK = 55


def entries(closes):
    """Indices at which the close breaks out of the last LOOKBACK closes."""
    return [
        day
        for day in range(LOOKBACK, len(closes))
        if closes[day] > max(closes[day - LOOKBACK:day])
    ]


def exit_day(closes, entry):
    """The first day after `entry` on which one of the four rules says to leave."""
    bought = closes[entry]
    highest = bought
    for day in range(entry + 1, len(closes)):
        close = closes[day]
        highest = max(highest, close)
        if close <= bought * (1 - stop_loss_pct):
            return day
        if close >= bought * (1 + take_profit_pct):
            return day
        if highest > bought and close <= highest * (1 - trailing_stop_offset):
            return day
        if day - entry >= holding_period_days:
            return day
    return len(closes) - 1
