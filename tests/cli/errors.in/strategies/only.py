stop_loss_pct = 0.10
