"""USDⓈ-M futures: linear perpetual swaps at Binance."""
