// Two numbers of each unit against each other, both logarithmic, with the line on which they are equal.

const CHART = { width: 540, height: 420, left: 62, right: 14, top: 12, bottom: 44 };

function domain(points) {
  const values = points.flatMap(({ x, y }) => [x, y]);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const margin = Math.max(1.15, (high / low) ** 0.04);
  return [low / margin, high * margin];
}

function axes(low, high, at, labels) {
  const { width, height, left, right, top, bottom } = CHART;
  const elements = [];
  for (const tick of logTicks(low, high)) {
    const [x, y] = [at.x(tick), at.y(tick)];
    const text = tickText(tick);
    elements.push(
      draw("line", { class: "grid", x1: x, x2: x, y1: top, y2: height - bottom }),
      draw("line", { class: "grid", x1: left, x2: width - right, y1: y, y2: y }),
      draw("text", { x, y: height - bottom + 16, "text-anchor": "middle" }, text),
      draw("text", { x: left - 7, y: y + 4, "text-anchor": "end" }, text),
    );
  }
  elements.push(
    draw("rect", {
      class: "frame",
      x: left,
      y: top,
      width: width - left - right,
      height: height - top - bottom,
    }),
    draw("line", { class: "identity", x1: at.x(low), y1: at.y(low), x2: at.x(high), y2: at.y(high) }),
    draw("text", { x: (left + width - right) / 2, y: height - 8, "text-anchor": "middle" }, labels.x),
    draw(
      "text",
      { transform: `translate(13 ${(top + height - bottom) / 2}) rotate(-90)`, "text-anchor": "middle" },
      labels.y,
    ),
  );
  return elements;
}

function pointShape(part, x, y) {
  const attributes = { class: "point", style: { color: partColor(part) } };
  if (part % 2 === 0) return draw("circle", { ...attributes, cx: x, cy: y, r: 3.6 });
  return draw("rect", { ...attributes, x: x - 3.2, y: y - 3.2, width: 6.4, height: 6.4 });
}

// points: { unit, x, y, more }; labels: { x, y, note, title }. Points that a logarithm does not have must not
// be among them.
function scatter(points, labels) {
  const [low, high] = domain(points);
  const { width, height, left, right, top, bottom } = CHART;
  const share = (value) => Math.log(value / low) / Math.log(high / low);
  const at = {
    x: (value) => left + share(value) * (width - left - right),
    y: (value) => height - bottom - share(value) * (height - top - bottom),
  };
  const marks = points.map(({ unit, x, y, more }) => ({
    element: pointShape(parts.indexOf(unit.part), at.x(x), at.y(y)),
    x: at.x(x),
    y: at.y(y),
    tip: () => unitTip(unit, rankOf.get(unit), more),
    choose: () => findUnit(unit),
  }));
  const svg = draw(
    "svg",
    {
      class: "chart",
      viewBox: `0 0 ${width} ${height}`,
      tabindex: 0,
      role: "img",
      "aria-label": `${labels.title}; the arrow keys go from unit to unit`,
    },
    ...axes(low, high, at, labels),
    ...marks.map(({ element }) => element),
    draw("text", { class: "strong", x: left + 10, y: top + 20 }, labels.note),
  );
  makeLively(svg, marks);
  const used = parts.filter((part) => points.some(({ unit }) => unit.part === part));
  const keys = used.map((part) => make("span", {}, partMark(parts.indexOf(part)), part));
  return [svg, make("div", { class: "keys" }, ...(parts.length > 1 ? keys : []))];
}

const drawable = ({ x, y }) => isNumber(x) && isNumber(y) && x > 0 && y > 0;

function leftOut(all, points) {
  const count = all.length - points.length;
  return count === 0 ? "" : ` ${count} that are 0 or less are not drawn.`;
}

function renderFast() {
  const all = report.units.flatMap((unit) => {
    const result = resultOf(unit);
    const fast = result && result[`fast_${state.direction}`];
    const exact = errorOf(unit);
    if (!fast || !exact || result.method !== "exact") return [];
    const [x, y] = [fast[measureKey], exact[measureKey]];
    return isNumber(x) && isNumber(y)
      ? [
          {
            unit,
            x,
            y,
            more: [
              ["fast", short(x)],
              ["exact", short(y)],
            ],
          },
        ]
      : [];
  });
  const points = all.filter(drawable);
  byId("fast-section").hidden = !report.units.some((unit) =>
    Object.values(unit.formats).some((result) => result.fast_in || result.fast_out),
  );
  if (points.length === 0) {
    byId("fast-remark").textContent = "No unit was measured both ways here.";
    byId("fast-chart").replaceChildren();
    return;
  }
  const found = report.correlation[state.format]?.[state.direction]?.[measureKey];
  const note =
    found && isNumber(found.spearman)
      ? `Spearman ${found.spearman.toFixed(3).replace("-", "−")} over ${whole(found.units)} units`
      : `${whole(points.length)} units`;
  byId("fast-remark").textContent =
    `${measureLabel} of the units that were measured both ways. On the dashed line the estimate is right.` +
    leftOut(all, points);
  byId("fast-chart").replaceChildren(
    ...scatter(points, {
      x: `fast estimate of the ${measureLabel}`,
      y: `exact ${measureLabel}`,
      note,
      title: `Fast against exact ${measureLabel}, ${note}`,
    }),
  );
}

function renderTokens() {
  const all = report.units.flatMap((unit) => {
    const local = localOf(unit);
    if (!local || !isNumber(local.picture_relative_error) || !isNumber(local.text_relative_error)) return [];
    const [x, y] = [local.text_relative_error, local.picture_relative_error];
    return [
      {
        unit,
        x,
        y,
        more: [
          ["picture tokens", short(y)],
          ["text tokens", short(x)],
        ],
      },
    ];
  });
  const points = all.filter(drawable);
  byId("tokens-section").hidden = points.length === 0;
  if (points.length === 0) return;
  const harder = points.filter(({ x, y }) => y > x).length;
  const ratios = points.map(({ x, y }) => y / x).sort((a, b) => a - b);
  byId("tokens-remark").replaceChildren(
    "Relative error at the unit's own output, by kind of token. Picture tokens are hit harder in ",
    make("b", {}, `${harder} of ${points.length}`),
    " units; their error is ",
    make("b", {}, `${short(ratios[Math.floor(ratios.length / 2)])} times`),
    ` that of text tokens in the median.${leftOut(all, points)}`,
  );
  byId("tokens-chart").replaceChildren(
    ...scatter(points, {
      x: "relative error of text tokens",
      y: "relative error of picture tokens",
      note: `${points.length} units`,
      title: `Relative error of picture tokens against text tokens, ${points.length} units`,
    }),
  );
}
