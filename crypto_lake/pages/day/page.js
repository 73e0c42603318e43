"use strict";
// Draws the charts of page.html out of its element #data: a chart a symbol, made when it is first shown.
(() => {
  const told = JSON.parse(document.getElementById("data").textContent);
  const lib = window.LightweightCharts;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const charts = new Map();
  const shades = () => dark.matches
    ? { back: "#12161d", text: "#8f99a8", line: "#222934", up: "#2fbf86", down: "#f0625f", blue: "#6ea0ff", amber: "#f0b440",
        volume: "#3d4b61", missed: "#f0625f2e", healed: "#6ea0ff2e" }
    : { back: "#ffffff", text: "#667085", line: "#eef1f5", up: "#128a5a", down: "#d13a3a", blue: "#2962c8", amber: "#c47f00",
        volume: "#b4c2d6", missed: "#d13a3a22", healed: "#2962c822" };
  const format = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: told.zone, hourCycle: "h23", ...options });
  const clock = format({ hour: "2-digit", minute: "2-digit" });
  const full = format({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  const at = (time, form) => form.format(new Date(time * 1000));
  const number = (value, digits) => value === null || value === undefined ? "–"
    : value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });

  function draw(index) {
    const day = told.days[index], decimals = told.decimals[index], box = document.getElementById(`chart-${index}`), color = shades();
    box.replaceChildren();
    const chart = lib.createChart(box, {
      autoSize: true,
      layout: { background: { color: color.back }, textColor: color.text, attributionLogo: false, panes: { separatorColor: color.line } },
      grid: { vertLines: { color: color.line }, horzLines: { color: color.line } },
      rightPriceScale: { borderColor: color.line, minimumWidth: 76 },
      timeScale: { borderColor: color.line, timeVisible: true, secondsVisible: false, minBarSpacing: 0.1, tickMarkFormatter: (time) => at(time, clock) },
      localization: { timeFormatter: (time) => at(time, full) },
      crosshair: { mode: 0 },
    });
    const heard = (i) => day.live[i] + day.healed[i] > 0;
    const points = (key, make) => day.time.map((time, i) =>
      day[key][i] === null || !heard(i) ? { time } : make(time, day[key][i], i));
    const line = (key, shade, pane, digits) => {
      const series = chart.addSeries(lib.LineSeries, { color: shade, lineWidth: 1, priceLineVisible: false, lastValueVisible: false,
        crosshairMarkerVisible: false, priceFormat: { type: "price", precision: digits, minMove: 10 ** -digits } }, pane);
      series.setData(points(key, (time, value) => ({ time, value })));
      return series;
    };
    const shade = chart.addSeries(lib.HistogramSeries, { priceScaleId: "shade", priceLineVisible: false, lastValueVisible: false }, 0);
    shade.priceScale().applyOptions({ scaleMargins: { top: 0, bottom: 0 }, visible: false });
    shade.setData(day.time.map((time, i) => day.missed[i] ? { time, value: 1, color: color.missed }
      : day.healed[i] ? { time, value: 1, color: color.healed } : { time }));
    const candles = chart.addSeries(lib.CandlestickSeries, { upColor: color.up, downColor: color.down, wickUpColor: color.up,
      wickDownColor: color.down, borderVisible: false, priceLineVisible: false,
      priceFormat: { type: "price", precision: decimals, minMove: 10 ** -decimals } }, 0);
    candles.priceScale().applyOptions({ scaleMargins: { top: 0.14, bottom: 0.06 } });
    candles.setData(points("open", (time, open, i) => ({ time, open, high: day.high[i], low: day.low[i], close: day.close[i] })));
    line("vwap_so_far", color.amber, 0, decimals);
    const volume = chart.addSeries(lib.HistogramSeries, { color: color.volume, priceLineVisible: false, lastValueVisible: false,
      priceFormat: { type: "volume" } }, 1);
    volume.setData(points("volume_base", (time, value) => ({ time, value })));
    line("spread", color.blue, 2, decimals + 1);
    line("least", color.text, 3, 0);
    line("p50", color.blue, 3, 0);
    line("p99", color.amber, 3, 0);
    [6, 2, 2, 2].forEach((share, pane) => chart.panes()[pane].setStretchFactor(share));
    box.dataset.candles = candles.data().filter((one) => one.open !== undefined).length;
    const legends = [0, 1, 2, 3].map(() => box.appendChild(Object.assign(document.createElement("div"), { className: "legend" })));
    const say = (i) => {
      const value = (key, digits) => number(day[key][i], digits);
      write(legends[0], [["", at(day.time[i], full)], ["O", value("open", decimals)], ["H", value("high", decimals)], ["L", value("low", decimals)],
        ["C", value("close", decimals)], ["VWAP", value("vwap", decimals + 2)], ["of the day so far", value("vwap_so_far", decimals + 2)],
        ["trades", value("trades", 0)]]);
      write(legends[1], [["volume", value("volume_base", 3)]]);
      write(legends[2], [["mean spread", value("spread", decimals + 2)]]);
      write(legends[3], [["latency, ms: half within", value("p50", 1)], ["99 % within", value("p99", 1)], ["smallest", value("least", 1)]]);
    };
    const place = () => {
      let top = 6;
      legends.forEach((legend, pane) => { legend.style.top = `${top}px`; top += chart.panes()[pane].getHeight() + 1; });
    };
    const last = Math.max(0, day.time.findLastIndex((_, i) => heard(i)));
    say(last);
    chart.subscribeCrosshairMove((move) => say(move.logical === undefined ? last : Math.min(day.time.length - 1, Math.max(0, Math.round(move.logical)))));
    const first = Math.max(0, day.time.findIndex((_, i) => heard(i)));
    chart.timeScale().setVisibleLogicalRange({ from: first - 1, to: last + 2 });
    new ResizeObserver(place).observe(box);
    requestAnimationFrame(place);
    return chart;
  }

  function write(legend, pairs) {
    legend.replaceChildren(...pairs.flatMap(([name, value]) => {
      const strong = document.createElement("b");
      strong.textContent = value;
      return [`${name} `, strong, "  "];
    }));
  }

  function show(index) {
    document.querySelectorAll("section").forEach((one) => { one.hidden = one.dataset.symbol !== String(index); });
    document.querySelectorAll("button").forEach((one) => one.setAttribute("aria-pressed", one.dataset.show === String(index)));
    if (!charts.has(index)) charts.set(index, draw(index));
  }

  document.querySelectorAll("button").forEach((one) => one.addEventListener("click", () => show(Number(one.dataset.show))));
  dark.addEventListener("change", () => {
    charts.forEach((chart) => chart.remove());
    [...charts.keys()].forEach((index) => charts.set(index, draw(index)));
  });
  show(0);
})();
