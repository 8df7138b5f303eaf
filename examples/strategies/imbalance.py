"""Take the ask when bids outweigh it and the models do not say sell; give the position back when it turns."""

from axon_quant import Order, OrderType, Side, Strategy, TimeInForce


class Imbalance(Strategy):
    """`ratio` of the sizes at the touch that counts as pressure; `notional` of a position, in the quote asset."""

    def __init__(self, ratio: float = 2.0, notional: float = 500.0) -> None:
        self.ratio = ratio
        self.notional = notional

    def on_decision(self, ctx, action):
        quote, position = ctx.quote(ctx.symbol), ctx.position(ctx.symbol)
        if quote is None or ctx.open_orders(ctx.symbol):
            return
        if not position and action.name != "sell" and quote.bid_quantity > self.ratio * quote.ask_quantity:
            quantity = ctx.instrument(ctx.symbol).round_quantity(self.notional / quote.ask)
            yield Order(ctx.symbol, Side.Buy, OrderType.Limit, quote.ask, quantity, time_in_force=TimeInForce.IOC)
        elif position > 0 and quote.ask_quantity > self.ratio * quote.bid_quantity:
            yield Order(ctx.symbol, Side.Sell, OrderType.Limit, quote.bid, position, time_in_force=TimeInForce.IOC)
