// The report and what is shown of it: a format, a direction, and each unit's numbers and rank there.

const report = JSON.parse(byId("report").textContent);
const parts = [...new Set(report.units.map((unit) => unit.part))];
const byScore = report.criterion !== "kl" && report.criterion !== "mse";

const DIRECTIONS = [
  { key: "in", label: "only this unit" },
  { key: "out", label: "all but this unit" },
];

const state = {
  format: report.formats[0],
  direction: "in",
  sort: "rank",
  descending: false,
  filter: "",
  beside: null,
  all: false,
  found: null,
};

const resultOf = (unit) => (Object.hasOwn(unit.formats, state.format) ? unit.formats[state.format] : null);

function errorOf(unit) {
  const result = resultOf(unit);
  return result ? result[state.direction] : null;
}

const localOf = (unit) => (resultOf(unit) || {}).local || null;

function hasDirection(key) {
  return report.units.some((unit) => Object.values(unit.formats).some((result) => result[key]));
}

const directions = DIRECTIONS.filter(({ key }) => hasDirection(key));
if (directions.length > 0) state.direction = directions[0].key;

// What a unit is ranked by, as in report.md.
function rankValue(unit) {
  const result = resultOf(unit);
  if (!result) return null;
  if (byScore) return result.score;
  const error = result[state.direction];
  if (!error) return null;
  return report.criterion === "kl" && error.kl !== null ? error.kl : error.mse;
}

// Of all but this unit quantized the smallest error comes first.
const smallestFirst = () => !byScore && state.direction === "out";

function ranks() {
  const sign = smallestFirst() ? 1 : -1;
  const ranked = report.units.filter((unit) => isNumber(rankValue(unit)));
  ranked.sort((a, b) => sign * (rankValue(a) - rankValue(b)));
  return new Map(ranked.map((unit, index) => [unit, index + 1]));
}

// What charts show: the divergence where there are logits, else the squared error, else the score.
const measureKey = report.has_logits ? "kl" : "mse";
const measureLabel = directions.length === 0 ? "score" : report.has_logits ? "KL" : "MSE";

function measureOf(unit) {
  if (directions.length === 0) return (resultOf(unit) || { score: null }).score;
  const error = errorOf(unit);
  return error ? error[measureKey] : null;
}

function shownText() {
  const direction = directions.find(({ key }) => key === state.direction);
  return direction ? `${state.format}, ${direction.label} quantized` : state.format;
}

// What can be looked at: every format in every direction that was measured.
const views = (directions.length > 0 ? directions : [{ key: state.direction, label: "" }]).flatMap(({ key, label }) =>
  report.formats.map((format) => ({ format, direction: key, label: label === "" ? format : `${format}, ${label}` })),
);

// What `work` gives while another format and direction are chosen.
function withView(view, work) {
  const { format, direction } = state;
  const shownRanks = rankOf;
  Object.assign(state, { format: view.format, direction: view.direction });
  rankOf = view.ranks ?? shownRanks;
  try {
    return work();
  } finally {
    Object.assign(state, { format, direction });
    rankOf = shownRanks;
  }
}

function unitTip(unit, rank, more = []) {
  const error = errorOf(unit);
  const local = localOf(unit);
  const result = resultOf(unit);
  const rows = [["rank", rank ? `${rank} of ${report.units.length}` : null]];
  if (error && report.has_logits) rows.push(["KL", klText(error)], ["top-1", percent(error.top1, 2)]);
  if (error) rows.push(["MSE", short(error.mse)]);
  if (result && isNumber(result.score)) rows.push(["score", short(result.score)]);
  if (local) rows.push(["SQNR", `${decibels(local)} dB`], ["relative error", short(local.relative_error)]);
  rows.push(["shape", `${unit.op} ${unit.shape[0]} × ${unit.shape[1]}`]);
  if (result && result.method) rows.push(["method", result.method]);
  if (!error && !local) rows.push(["", "not measured"]);
  const list = make("dl");
  for (const [name, value] of [...rows, ...more]) {
    if (value !== null && value !== NOTHING) list.append(make("dt", {}, name), make("dd", {}, value));
  }
  return [unitName(unit), list];
}
