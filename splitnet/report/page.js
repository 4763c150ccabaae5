/* Draws the charts in the colours of the theme, and again when the theme, the view or the paper changes. */
"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const shown = Object.fromEntries(Object.keys(charts).map((name) => [name, 0]));
  const root = document.documentElement;
  const systemTheme = matchMedia("(prefers-color-scheme: dark)");
  const PAPER_WIDTH_PX = 700;

  /* Only a rendered colour tells what light-dark() has become. */
  const probe = document.body.appendChild(document.createElement("span"));
  probe.hidden = true;
  const colour = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };

  const themed = (value, key) => {
    if (Array.isArray(value)) return value.map((item) => themed(item, key));
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, themed(item, name)]));
    }
    const named = typeof value === "string" && value.startsWith("@") && key.endsWith("color");
    return named ? colour(value.slice(1)) : value;
  };

  const draw = (name, width) => {
    const view = charts[name][shown[name]];
    const layout = themed(view.layout, "");
    layout.font.family = getComputedStyle(document.body).fontFamily;
    layout.hoverlabel.font.family = layout.font.family;
    layout.modebar = { bgcolor: "transparent", color: colour("muted"), activecolor: colour("accent") };
    if (width) layout.width = width;
    Plotly.react(`plot-${name}`, themed(view.traces, ""), layout, {
      responsive: true,
      displaylogo: false,
      /* Plotly would offer to send the chart to its company. */
      showSendToCloud: false,
      plotlyServerURL: "",
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
      toImageButtonOptions: { format: "svg", filename: name },
    });
  };
  const drawAll = (width) => Object.keys(charts).forEach((name) => draw(name, width));

  document.querySelectorAll("button[data-chart]").forEach((button) => {
    button.addEventListener("click", () => {
      const { chart, view } = button.dataset;
      shown[chart] = Number(view);
      button.parentElement.querySelectorAll("button").forEach((other) => {
        other.setAttribute("aria-pressed", String(other === button));
      });
      draw(chart);
    });
  });

  const isDark = () => (root.style.colorScheme || (systemTheme.matches ? "dark" : "light")) === "dark";
  document.getElementById("theme").addEventListener("click", () => {
    root.style.colorScheme = isDark() ? "light" : "dark";
    drawAll();
  });
  systemTheme.addEventListener("change", () => drawAll());

  let screenTheme = "";
  addEventListener("beforeprint", () => {
    screenTheme = root.style.colorScheme;
    root.style.colorScheme = "light";
    drawAll(PAPER_WIDTH_PX);
  });
  addEventListener("afterprint", () => {
    root.style.colorScheme = screenTheme;
    drawAll();
  });

  drawAll();
})();
