// Layers across, kinds of op down, one panel for each part of the model; darker (on a dark page: lighter) is
// more sensitive. Units that are alone, like the output head, stand beside the grid under their own names.

// Both scales go one way in lightness, so that they are read without seeing hues, and in print.
const LIGHT = ["#fdf3dc", "#fad389", "#f3a04e", "#dd6a43", "#b03f58", "#742a66", "#3f1d57", "#1d0c33"];
const DARK = ["#23202f", "#452159", "#762a68", "#ab3c61", "#d8614b", "#f09549", "#f8c860", "#fdf6c9"];
const CELL_HEIGHT = 24;
const WIDTH = 1180;
const ROW_LETTERS = 36;
const COLUMN_LETTERS = 24; // of a turned label

function mix(scale, share) {
  const place = Math.min(Math.max(share, 0), 1) * (scale.length - 1);
  const index = Math.min(Math.floor(place), scale.length - 2);
  const channel = (color, at) => parseInt(color.slice(at, at + 2), 16);
  const mixed = [1, 3, 5].map((at) => {
    const from = channel(scale[index], at);
    return Math.round(from + (place - index) * (channel(scale[index + 1], at) - from));
  });
  return `rgb(${mixed.join(" ")})`;
}

// One for all maps that are shown. Up to the worst unit; at the other end 2% are left out, so that a unit that
// does nothing does not take the whole scale. Where both directions are shown it is one of numbers: darker is
// larger.
function heatScale(shown) {
  const values = shown
    .flatMap((view) => withView(view, () => report.units.map(measureOf)))
    .filter((value) => isNumber(value) && value > 0)
    .sort((a, b) => a - b);
  const turned = !byScore && shown.every(({ direction }) => direction === "out");
  const mixed = !byScore && !turned && shown.some(({ direction }) => direction === "out");
  if (values.length === 0) return { low: 1, high: 10, turned, mixed, share: () => 0 };
  const left = mixed ? 0 : Math.floor(0.02 * values.length);
  const low = values[turned ? 0 : left];
  const high = values[values.length - 1 - (turned ? left : 0)];
  const span = Math.log(high / low) || 1;
  const share = (value) => {
    const place = value > 0 ? Math.min(Math.max(Math.log(value / low) / span, 0), 1) : 0;
    return turned ? 1 - place : place;
  };
  return { low, high, turned, mixed, share };
}

// Powers of ten; 1, 2 and 5 where there are fewer than two of those; else the ends.
function logTicks(low, high) {
  for (const steps of [[1], [1, 2, 5]]) {
    const ticks = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
      for (const step of steps) ticks.push(step * 10 ** power);
    }
    const inside = ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
    if (inside.length >= 2) return inside.length <= 8 ? inside : inside.filter((_, index) => index % 2 === 0);
  }
  return low === high ? [low] : [low, high];
}

// "0.001", "2e−5"
const tickText = (tick) =>
  short(tick, 2)
    .replace(/(\.\d*?)0+(?=e|$)/, "$1")
    .replace(/\.(?=e|$)/, "");

function renderLegend(scale) {
  const stops = (colors) => {
    const ordered = scale.turned ? [...colors].reverse() : colors;
    return `linear-gradient(to right, ${ordered.join(", ")})`;
  };
  const ticks = make("ol");
  for (const tick of logTicks(scale.low, scale.high)) {
    const place =
      scale.high > scale.low ? Math.log(tick / scale.low) / Math.log(scale.high / scale.low) : 0.5;
    ticks.append(make("li", { style: { left: `${100 * place}%` } }, tickText(tick)));
  }
  byId("heat-legend").replaceChildren(
    make("span", {}, `${measureLabel}, logarithmic`),
    make(
      "div",
      { class: "ramp" },
      make("div", { style: { "--light": stops(LIGHT), "--dark": stops(DARK) } }),
      ticks,
    ),
    make(
      "span",
      {},
      scale.mixed
        ? "only this unit: the larger, the more sensitive; all but this unit: the smaller"
        : scale.turned
          ? "the smaller, the more sensitive"
          : "the larger, the more sensitive",
    ),
  );
}

// { columns: [layer], rows: [kind], cells: [[unit, column, row]], alone: [unit] }
function layOut(units) {
  const layersOfKind = new Map();
  for (const unit of units) {
    if (unit.kind === "") continue;
    if (!layersOfKind.has(unit.kind)) layersOfKind.set(unit.kind, new Set());
    layersOfKind.get(unit.kind).add(unit.layer);
  }
  const shared = (unit) => unit.kind !== "" && layersOfKind.get(unit.kind).size > 1;
  const columns = [...new Set(units.filter(shared).map((unit) => unit.layer))];
  const columnOf = new Map(columns.map((layer, index) => [layer, index]));
  const rows = [];
  const cells = [];
  const alone = [];
  const taken = new Set();
  for (const unit of units) {
    if (!columnOf.has(unit.layer) || unit.kind === "") {
      alone.push(unit);
      continue;
    }
    // Two units of one layer and kind, as of a module that is used twice.
    let kind = unit.kind;
    for (let number = 2; taken.has(`${unit.layer}\n${kind}`); number += 1) kind = `${unit.kind} (${number})`;
    taken.add(`${unit.layer}\n${kind}`);
    if (!rows.includes(kind)) rows.push(kind);
    cells.push([unit, columnOf.get(unit.layer), rows.indexOf(kind)]);
  }
  return { columns, rows, cells, alone };
}

// "3" for "/model/layers.3" where all layers are called so, else as many words from the end as tell all of them
// apart: "layer1.0", "stage2/block.1".
function columnLabels(columns) {
  const stems = new Set(columns.map((layer) => layer.replace(/\d+$/, "")));
  if (stems.size === 1) return columns.map((layer) => /\d+$/.exec(layer)?.[0] ?? layer);
  const words = columns.map((layer) => layer.split("/").filter(Boolean));
  for (let count = 1; ; count += 1) {
    const labels = words.map((list, index) => list.slice(-count).join("/") || columns[index]);
    if (new Set(labels).size === labels.length || words.every(({ length }) => length <= count)) return labels;
  }
}

const shortened = (text, length) => (text.length <= length ? text : `…${text.slice(1 - length)}`);

function aloneLabel(unit) {
  const path = unit.kind === "" ? unit.layer : unit.kind;
  return path.split("/").filter(Boolean).slice(-2).join("/") || unit.name;
}

// In pixels, in the font that the page has here.
function widest(labels, most) {
  const ruler = document.createElement("canvas").getContext("2d");
  ruler.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  return Math.max(0, ...labels.map((label) => Math.ceil(ruler.measureText(shortened(label, most)).width)));
}
const rowLabelWidth = ({ rows }) => (rows.length === 0 ? 0 : widest(rows, ROW_LETTERS) + 14);
const aloneLabelWidth = ({ alone }) => widest(alone.map(aloneLabel), 26);

// Of one width in all panels, as wide as the page has room for.
function cellWidth(layouts, width) {
  const widths = layouts
    .filter(({ columns }) => columns.length > 0)
    .map((layout) => {
      const room =
        width - rowLabelWidth(layout) - (layout.alone.length > 0 ? aloneLabelWidth(layout) + 36 : 0);
      return room / (layout.columns.length + (layout.alone.length > 0 ? 1 : 0));
    });
  return Math.max(width < WIDTH ? 9 : 12, Math.floor(Math.min(30, ...widths)));
}

function heatCell(view, unit, scale, x, y, width) {
  const value = measureOf(unit);
  const attributes = { x, y, width: width - 2, height: CELL_HEIGHT - 2, rx: 2, class: "cell" };
  if (isNumber(value)) {
    const share = scale.share(value);
    attributes.style = { "--light": mix(LIGHT, share), "--dark": mix(DARK, share) };
  } else {
    attributes.class = "cell unknown";
  }
  const element = draw("rect", attributes);
  return {
    element,
    x: x / width,
    y: y / CELL_HEIGHT,
    tip: () => withView(view, () => unitTip(unit, rankOf.get(unit))),
    choose: () => findUnit(unit),
  };
}

// One panel. Returns the drawing and its marks.
function heatPanel(view, layout, scale, width) {
  const { columns, rows, cells, alone } = layout;
  const labels = columnLabels(columns);
  const turned = labels.some((label) => label.length > 3);
  const left = rowLabelWidth(layout);
  const longest = widest(labels, COLUMN_LETTERS);
  const top = columns.length === 0 ? 4 : turned ? 14 + Math.ceil(longest * 0.87) : 18;
  // The last turned labels lean out to the right.
  const lean = turned ? longest * 0.5 : 0;
  const marks = cells.map(([unit, column, row]) =>
    heatCell(view, unit, scale, left + column * width, top + row * CELL_HEIGHT, width),
  );
  const texts = rows.map((kind, row) =>
    draw("text", { x: left - 8, y: top + row * CELL_HEIGHT + 15, "text-anchor": "end" }, shortened(kind, ROW_LETTERS)),
  );
  const every = width >= 17 || (turned && width >= 12) ? 1 : turned ? 2 : 5;
  labels.forEach((label, column) => {
    if (column % every !== 0) return;
    const x = left + (column + 0.5) * width - 1;
    texts.push(
      turned
        ? draw("text", { transform: `translate(${x + 4} ${top - 6}) rotate(-60)` }, shortened(label, COLUMN_LETTERS))
        : draw("text", { x, y: top - 6, "text-anchor": "middle" }, label),
    );
  });
  const perColumn = Math.max(rows.length, 6);
  const aloneWidth = aloneLabelWidth(layout) + width + 16;
  const aloneLeft = left + columns.length * width + (columns.length > 0 ? 20 : 0) + (alone.length > 0 ? lean : 0);
  alone.forEach((unit, index) => {
    const x = aloneLeft + Math.floor(index / perColumn) * aloneWidth;
    const y = top + (index % perColumn) * CELL_HEIGHT;
    marks.push(heatCell(view, unit, scale, x, y, width));
    texts.push(draw("text", { x: x + width + 4, y: y + 15 }, shortened(aloneLabel(unit), 26)));
  });
  const total = Math.max(
    aloneLeft + Math.ceil(alone.length / perColumn) * aloneWidth,
    left + columns.length * width + lean,
  );
  const height = top + Math.max(rows.length, Math.min(alone.length, perColumn)) * CELL_HEIGHT;
  return [
    draw(
      "svg",
      { width: total, height, viewBox: `0 0 ${total} ${height}`, tabindex: 0, role: "img" },
      ...texts,
      ...marks.map(({ element }) => element),
    ),
    marks,
  ];
}

// One view of all parts of the model.
function heatColumn(view, scale, layouts, width, named) {
  const panels = parts.map((part, index) => {
    const [svg, marks] = withView(view, () => heatPanel(view, layouts[index], scale, width));
    svg.setAttribute(
      "aria-label",
      `${part}, ${view.label}: ${measureLabel} of ${marks.length} units; the arrow keys go from unit to unit`,
    );
    makeLively(svg, marks);
    return make(
      "div",
      { class: "panel" },
      make("h3", {}, partMark(index), part),
      make("div", { class: "scroll" }, svg),
    );
  });
  return make("div", { class: "view" }, named ? make("p", { class: "view-name" }, view.label) : null, ...panels);
}

function renderHeatMap() {
  byId("heat-section").hidden = report.units.length === 0;
  const first = views.find(
    ({ format, direction }) => format === state.format && direction === state.direction,
  ) ?? { ...state, label: "" };
  const second = views.find(({ label }) => label === state.beside);
  const shown = [{ ...first, ranks: rankOf }];
  if (second && second !== first) shown.push({ ...second, ranks: withView(second, ranks) });
  const scale = heatScale(shown);
  renderLegend(scale);
  const layouts = parts.map((part) => layOut(report.units.filter((unit) => unit.part === part)));
  const width = cellWidth(layouts, shown.length > 1 ? WIDTH / 2 - 16 : WIDTH);
  byId("heat-map").className = shown.length > 1 ? "two" : "";
  byId("heat-map").replaceChildren(
    ...shown.map((view) => heatColumn(view, scale, layouts, width, shown.length > 1)),
  );
}

// A second map, of another format or direction, on the same scale.
function offerMapsBeside() {
  byId("beside-label").hidden = views.length < 2;
  byId("beside").append(
    make("option", { value: "" }, "nothing"),
    ...views.map(({ label }) => make("option", { value: label }, label)),
  );
  byId("beside").addEventListener("change", (event) => {
    state.beside = event.target.value;
    renderHeatMap();
  });
}
