// Header, choice of format and direction, and the order in which all is drawn.

function renderFacts() {
  const parameters = report.units.reduce((sum, unit) => sum + unit.parameters, 0);
  const facts = [
    ["Data", report.data],
    ["Samples", whole(report.samples)],
    ["Positions", report.has_logits ? whole(report.positions) : null],
    ["Units", whole(report.units.length), parameters > 0 ? `${amount(parameters)} parameters` : null],
    [
      "Exact answers, unquantized",
      isNumber(report.exact_unquantized) ? percent(report.exact_unquantized) : null,
      isNumber(report.exact_unquantized) ? `of ${whole(report.samples)}` : null,
    ],
    [
      "Ranked by",
      {
        kl: "KL",
        mse: "MSE",
        nncf_mean_variance: "mean activation variance",
        weight_mse: "weight MSE",
        random: "chance",
      }[report.criterion],
    ],
  ];
  for (const [name, value, more] of facts) {
    if (value === null || value === "") continue;
    byId("facts").append(
      make(
        "div",
        {},
        make("dt", {}, name),
        make("dd", {}, value, more ? make("small", {}, ` ${more}`) : null),
      ),
    );
  }
}

function renderProvenance() {
  const rows = [
    ["model", report.model],
    ["model, SHA-256", report.model_sha256],
    ["data", report.data],
    ["data, SHA-256", report.data_sha256],
    ...Object.entries(report.settings),
  ];
  byId("provenance").append(
    make(
      "table",
      {},
      make(
        "tbody",
        {},
        ...rows
          .filter(([, value]) => value !== "")
          .map(([name, value]) =>
            make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, make("code", {}, value))),
          ),
      ),
    ),
  );
}

// Where the page lies is where its commands are right.
function folderOfPage() {
  if (location.protocol !== "file:") return null;
  let path = location.pathname;
  try {
    path = decodeURIComponent(path);
  } catch {
    return null; // a name that is no text
  }
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

const inShell = (text) => (/^[\w./:=,+@%-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

function command(text) {
  const code = make("code", { class: "command", tabindex: 0 }, text);
  code.addEventListener("click", () => getSelection().selectAllChildren(code));
  return code;
}

function renderNext() {
  byId("next-section").hidden = report.next.length === 0;
  const folder = folderOfPage();
  byId("next").replaceChildren(
    ...(folder ? [make("li", {}, "in the folder of this report", command(`cd ${inShell(folder)}`))] : []),
    ...report.next.map((step) => make("li", {}, step.what, command(step.command))),
  );
}

function renderTrust() {
  const trust = (Object.hasOwn(report.trust, state.format) ? report.trust[state.format] : {})[state.direction];
  byId("trust").textContent = trust ? `${trust.words[0].toUpperCase()}${trust.words.slice(1)}.` : "";
}

function renderWhole() {
  const entries = Object.entries(report.whole).filter(([, error]) => error);
  byId("whole-section").hidden = entries.length === 0;
  const has = (key) => entries.some(([, error]) => isNumber(error[key]));
  const columns = [
    ["Format", ([format]) => format, true],
    ["Verdict", ([format]) => make("span", { class: "verdict" }, verdictOf(format)), true],
    ["KL ± std. error", ([, error]) => klText(error), has("kl")],
    ["KL, median", ([, error]) => short(error.kl_median), has("kl_median")],
    ["KL, 99%", ([, error]) => short(error.kl_p99), has("kl_p99")],
    ["MSE", ([, error]) => short(error.mse), true],
    ["Top-1", ([, error]) => percent(error.top1, 2), has("top1")],
    ["Exact answers", ([, error]) => exactText(error.exact), has("exact")],
  ].filter(([, , shown]) => shown);
  byId("whole").replaceChildren(
    make("thead", {}, make("tr", {}, ...columns.map(([label]) => make("th", { scope: "col" }, label)))),
    make(
      "tbody",
      {},
      ...entries.map((entry) =>
        make(
          "tr",
          { class: entry[0] === state.format ? "current" : null },
          ...columns.map(([, read]) => make("td", {}, read(entry))),
        ),
      ),
    ),
  );
}

const verdictOf = (format) => (Object.hasOwn(report.verdict, format) ? report.verdict[format] : NOTHING);

function exactText(exact) {
  const text = make("span", {}, percent(exact));
  if (isNumber(exact) && isNumber(report.exact_unquantized)) {
    const points = 100 * (exact - report.exact_unquantized);
    const sign = points > 0.05 ? "+" : points < -0.05 ? "−" : "±";
    text.append(make("span", { class: "delta" }, ` ${sign}${Math.abs(points).toFixed(1)}\u00a0pp`));
  }
  return text;
}

function choice(name, legend, options) {
  if (options.length < 2) return null;
  const segments = make("div", { class: "segments" });
  for (const { key, label } of options) {
    const input = make("input", { type: "radio", name, value: key, checked: key === state[name] });
    input.addEventListener("change", () => {
      state[name] = key;
      renderShown();
    });
    segments.append(make("label", {}, input, label));
  }
  return make("fieldset", {}, make("legend", {}, legend), segments);
}

// What depends on format and direction.
function renderShown() {
  rankOf = ranks();
  hideTip();
  for (const element of document.querySelectorAll(".shown")) element.textContent = shownText();
  document.querySelector("#tokens-section .shown").textContent = state.format;
  renderWhole();
  renderHeatMap();
  renderTrust();
  renderRanking();
  renderFast();
  renderTokens();
}

function showProvenanceInPrint() {
  const details = document.querySelector(".provenance");
  let wasOpen = details.open;
  addEventListener("beforeprint", () => {
    wasOpen = details.open;
    details.open = true;
  });
  addEventListener("afterprint", () => {
    details.open = wasOpen;
  });
}

function start() {
  renderFacts();
  renderProvenance();
  renderNext();
  renderFront();
  offerMapsBeside();
  byId("empty").hidden = report.units.length > 0;
  const choices = [
    choice(
      "format",
      "Format",
      report.formats.map((format) => ({ key: format, label: format })),
    ),
    choice("direction", "Quantized", directions),
  ];
  byId("choice").append(...choices.filter((element) => element !== null));
  byId("choice").addEventListener("submit", (event) => event.preventDefault());
  byId("filter").addEventListener("input", (event) => {
    state.filter = event.target.value;
    renderTable();
  });
  byId("more").addEventListener("click", () => {
    state.all = true;
    renderTable();
  });
  addEventListener("scroll", hideTip, { passive: true });
  showProvenanceInPrint();
  renderShown();
}

start();
