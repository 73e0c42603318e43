"""How much did a day trade, what did the spread do, and can I trust it? A marimo notebook over a lake.

In a checkout that has a lake ($CRYPTO_LAKE_CONFIG names its configuration, else it is ./config.yml):

    python -m pip install -c constraints.txt -e ".[examples]" && marimo edit examples/a_day.py

`marimo run` shows it without the code, `marimo export html examples/a_day.py -o a_day.html` makes a page of it to send
away (which fetches marimo's own scripts from the internet when it is opened; the two others work offline).
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="A day")

with app.setup:
    from datetime import timedelta

    import marimo as mo
    import matplotlib.pyplot as plt
    import pandas as pd

    from crypto_lake import open_lake

    plt.rcParams["date.converter"] = "concise"


@app.cell(hide_code=True)
def _():
    mo.md("""
    # A day of one symbol

    How much did the newest recorded day trade, what did the spread do, and can I trust the answer? All times are UTC.
    """)
    return


@app.cell
def _():
    lake = open_lake()
    ends = lake.sql("SELECT symbol, max(window_start) AS last FROM bars_1s WHERE observed GROUP BY symbol")
    newest = dict(zip(ends["symbol"], ends["last"], strict=True))
    symbol = next((name for name in lake.symbols() if name in newest), None)
    advice = (
        "record with `crypto-lake collector`, make bars with `crypto-lake transformer`, and run this again."
    )
    mo.stop(symbol is None, mo.md(f"This lake has no bars yet: {advice}"))
    day = newest[symbol].date()
    mo.md(f"The symbol is **{symbol}**, the day **{day}**.")
    return day, lake, symbol


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Can I trust it?

    The exchange numbers its trades without holes, so a missing trade is a missing number. A second counts as observed
    where somebody was listening all through it, or healed trades prove that none is missing.
    """)
    return


@app.cell
def _(day, lake, symbol):
    step = lake.config.transformer.resample_interval_sec  # a bar's length; 1, if not configured
    bars = lake.bars(symbol, f"{step}s", day, day + timedelta(days=1))
    heard = bars[bars["observed"]]["window_start"]
    begin, end = heard.min(), heard.max() + timedelta(seconds=step)
    within = bars[bars["window_start"].between(begin, end, inclusive="left")]
    trades = bars["trade_count"].sum()
    numbers = bars["last_trade_id"].max() - bars["first_trade_id"].min() + 1 if trades else 0
    facts = {
        "seconds unobserved": f"{step * (~bars['observed']).sum():,}",
        "first observed second": f"{begin:%H:%M:%S}",
        "last observed second": f"{heard.max():%H:%M:%S}",
        "unobserved in between": f"{step * (~within['observed']).sum():,}",
        "trades": f"{trades:,}",
        "trades missing by id": f"{numbers - trades:,}",
        "volume, base asset": f"{bars['volume_base'].sum():,.0f}",
        "volume, quote asset": f"{bars['volume_quote'].sum():,.0f}",
    }
    mo.plain(pd.DataFrame({symbol: facts}))
    return begin, end, step, within


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## How much did it trade?

    Minute by minute, from the first observed second to the last. VWAP is that of the day so far. Minutes of which
    a second was not observed are shaded.
    """)
    return


@app.cell
def _(begin, day, end, lake, step, symbol):
    minute = timedelta(seconds=60 if 60 % step == 0 else step)
    minutes = lake.bars(symbol, f"{minute.seconds}s", begin.floor(minute), end).set_index("window_start")

    def shade(axes):
        missed = [(start, minute) for start in minutes.index[~minutes["observed"]]]
        axes.broken_barh(missed, (0, 1), transform=axes.get_xaxis_transform(), color="mistyrose", zorder=0)

    traded, (prices, volumes) = plt.subplots(
        2, sharex=True, figsize=(10, 5), layout="constrained", height_ratios=[3, 1]
    )
    prices.plot(minutes["close"].where(minutes["observed"] | (minutes["trade_count"] > 0)), label="close")
    prices.plot(minutes["volume_quote"].cumsum() / minutes["volume_base"].cumsum(), label="VWAP")
    prices.set(title=f"{symbol}, {day}", ylabel="price")
    prices.legend()
    volumes.bar(minutes.index, minutes["volume_base"], width=minute, align="edge", color="tab:gray")
    volumes.set(ylabel="volume")
    shade(prices)
    shade(volumes)
    traded
    return minute, minutes, shade


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## What did the spread do?

    Left: the mean of each minute's observed seconds, as a part of the price. Right: is it wider where there are more
    trades? (The market of the bundled exchange is made up: there, the two have nothing to do with each other.)
    """)
    return


@app.cell
def _(minute, minutes, shade, within):
    quoted = within[within["observed"]].set_index("window_start")
    relative = quoted["spread"] / (quoted["bid"] + quoted["ask"]) * 2 * 10_000
    spread = relative.resample(minute).mean().reindex(minutes.index)
    whole = minutes[minutes["observed"]]
    spreads, (by_time, by_trades) = plt.subplots(
        1, 2, figsize=(10, 3.5), layout="constrained", width_ratios=[2, 1]
    )
    by_time.plot(spread)
    by_time.set(ylabel="spread, 1/10,000 of the price")
    shade(by_time)
    by_trades.scatter(whole["trade_count"], spread[whole.index], s=8)
    correlation = whole["trade_count"].corr(spread)
    by_trades.set(xlabel="trades in the minute", title=f"{len(whole)} minutes, correlation {correlation:.2f}")
    spreads
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## How far back does it go?

    One series of whole minutes: our own where all of one was observed (live), else the exchange's candle (backfill).
    """)
    return


@app.cell
def _(lake, symbol):
    history = lake.history(symbol)
    by_source = history.groupby("source")["window_start"].agg(["min", "max", "count"])
    series, closes = plt.subplots(figsize=(10, 3), layout="constrained")
    for source, part in history.groupby("source"):
        closes.plot(part["window_start"], part["close"], ".", markersize=2, label=source)
    closes.set(title=f"{symbol}, all minutes", ylabel="price")
    series.legend(loc="outside right upper", markerscale=5)
    mo.vstack([mo.plain(by_source.set_axis(["first minute", "last minute", "minutes"], axis=1)), series])
    return


if __name__ == "__main__":
    app.run()
