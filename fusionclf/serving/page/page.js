"use strict";

const at = (id) => document.getElementById(id);
let limits = null;
let several = false;  // labels a product
let chosen = null; // the picture to send
let requests = 0; // the answer to an earlier request must not replace a later one
let shown = null; // the request of the shown answer: "Explain" explains it, even if the form has changed
const points = new Intl.NumberFormat("en", { signDisplay: "exceptZero", minimumFractionDigits: 1, maximumFractionDigits: 1 });

function warn(text) {
  at("fault").textContent = text;
  at("fault").hidden = false;
}

function showError(text) {
  warn(text);
  shown = null;
  at("answer").hidden = true;
  at("waiting").hidden = true;
}

function choose(file) {
  if (at("preview").src) URL.revokeObjectURL(at("preview").src);
  chosen = file || null;
  if (!chosen) at("picture").value = "";
  at("preview").hidden = at("remove").hidden = !chosen;
  at("hint").hidden = Boolean(chosen);
  if (chosen) {
    at("preview").src = URL.createObjectURL(chosen);
    at("preview").alt = `Picture: ${chosen.name}`;
  } else {
    at("preview").removeAttribute("src");
  }
}

// A format that the browser cannot show may still be one that the model can read.
at("preview").addEventListener("error", () => {
  if (!chosen) return;
  at("preview").hidden = true;
  at("hint").hidden = false;
  at("hint").textContent = chosen.name;
});
at("preview").addEventListener("load", () => { at("preview").hidden = false; });

at("picture").addEventListener("change", () => choose(at("picture").files[0] || chosen));
at("remove").addEventListener("click", () => {
  choose(null);
  at("hint").textContent = "Drop a picture here, or choose one";
});

// Anywhere on the page: a picture that misses the box must not replace the page.
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  at("drop").classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) at("drop").classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  at("drop").classList.remove("over");
  if (event.dataTransfer.files.length && !at("picture").disabled) choose(event.dataTransfer.files[0]);
});

function make(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}

function show(answer, request) {
  shown = request;
  at("explanation").hidden = true;
  at("explain").disabled = false;
  at("explain").textContent = "Explain";
  at("fault").hidden = at("waiting").hidden = true;
  at("first").textContent = answer.labels.length ? answer.labels[0] : "no label reaches its threshold";
  at("decision").textContent = answer.decision;
  at("decision").className = `badge ${answer.decision}`;
  at("path").textContent = answer.path.filter(Boolean).join(" \u203a ");
  at("classes").replaceChildren(...answer.labels.map((label, place) => {
    const row = make("li");
    const percent = 100 * answer.probabilities[place];
    const track = make("div", "track");
    track.append(make("span"));
    track.firstChild.style.width = `${percent}%`;
    row.append(make("span", "class", label), make("span", "", `${percent.toFixed(1)} %`), track);
    return row;
  }));
  const columns = Object.entries(answer.answers || {});
  at("columns").hidden = !columns.length;
  at("columns").replaceChildren(...columns.flatMap(([column, found]) => {
    const value = make("dd", "", found.value === null ? "no answer" : `${found.value} `);
    if (found.value !== null) value.append(make("small", "", `${(100 * found.probability).toFixed(1)} %`));
    return [make("dt", "", column), value];
  }));
  at("status").textContent = `Picture: ${answer.picture_status}. Title: ${answer.title_status}.`;
  at("answer").hidden = false;
}

at("product").addEventListener("submit", async (event) => {
  event.preventDefault();
  const title = at("title").value;
  if (limits && chosen && chosen.size > limits.picture_bytes) {
    showError(`The picture is larger than ${Math.round(limits.picture_bytes / 2 ** 20)} MiB.`);
    return;
  }
  const body = new FormData();
  const picture = at("picture").disabled ? null : chosen;
  if (picture) body.append("picture", picture);
  if (title && !at("title").disabled) body.append("title", title);
  const least = Number(at("least").value) / 100;
  // Several labels a product have a threshold each, unless the user gives one for all.
  if (!several || least > 0) body.append("min_probability", String(least));
  const turn = ++requests;
  at("classify").disabled = true;
  try {
    const response = await fetch("predict", { method: "POST", body });
    const value = await response.json();
    if (turn !== requests) return;
    if (response.ok) show(value, { body, picture });
    else showError(value.error);
  } catch {
    if (turn === requests) showError("The server gave no answer; is it still running?");
  } finally {
    if (turn === requests) at("classify").disabled = false;
  }
});

function direction(value) {
  return value > 0 ? "for" : "against";
}

function shaded(piece, largest) {
  const word = make("span", `word ${direction(piece.counted)}`, `${piece.text} `);
  word.style.setProperty("--share", largest ? Math.abs(piece.counted) / largest : 0);
  if (piece.counted !== null) word.append(make("small", "", points.format(100 * piece.counted)));
  return word;
}

function side([name, without]) {
  if (without.counted === null) return make("div", "", `Without the ${name} there is no answer.`);
  const line = make("div", "", `Drop without the ${name}: ${points.format(100 * without.counted)}, to `);
  line.append(make("span", "class", without.label), ` ${(100 * without.probability).toFixed(1)} %`);
  return line;
}

function heat(cells, picture) {
  if (at("seen").src) URL.revokeObjectURL(at("seen").src);
  at("seen").src = URL.createObjectURL(picture);
  const canvas = at("cells");
  canvas.width = cells[0].length;
  canvas.height = cells.length;
  const pen = canvas.getContext("2d");
  const colours = getComputedStyle(document.documentElement);
  const largest = Math.max(...cells.flat().map(Math.abs));
  cells.forEach((row, y) => row.forEach((value, x) => {
    pen.fillStyle = colours.getPropertyValue(`--${direction(value)}`);
    pen.globalAlpha = largest ? 0.75 * Math.abs(value) / largest : 0;
    pen.fillRect(x, y, 1, 1);
  }));
}

at("seen").addEventListener("error", () => { at("seen").hidden = true; });
at("seen").addEventListener("load", () => { at("seen").hidden = false; });

function showExplanation(explanation, picture) {
  const largest = Math.max(0, ...explanation.words.map((piece) => Math.abs(piece.counted)));
  at("fault").hidden = true;
  at("explained").textContent = `Why ${explanation.label}`;
  at("heat").hidden = !explanation.cells;
  if (explanation.cells) heat(explanation.cells, picture);
  at("words").hidden = !explanation.words.length;
  at("words").replaceChildren(...explanation.words.flatMap((piece) => [shaded(piece, largest), " "]));
  at("sides").replaceChildren(...Object.entries(explanation.modalities).map(side));
  at("explanation").hidden = false;
}

at("explain").addEventListener("click", async () => {
  const request = shown;
  at("explain").disabled = true;
  at("explain").textContent = "Explaining\u2026";
  try {
    const response = await fetch("explain", { method: "POST", body: request.body });
    const value = await response.json();
    if (request !== shown) return;
    if (response.ok) showExplanation(value, request.picture);
    else warn(value.error);
  } catch {
    if (request === shown) warn("The server gave no answer; is it still running?");
  } finally {
    if (request === shown) {
      at("explain").disabled = false;
      at("explain").textContent = "Explain";
    }
  }
});

(async () => {
  try {
    const served = await (await fetch("health")).json();
    limits = served.limits;
    several = served.several_labels;
    at("run").textContent = `${served.run}: ${served.classes} classes`;
    document.title = `${served.run} \u2013 fusionclf`;
    at("title").maxLength = limits.title_length;
    if (!served.reads_titles) {
      at("title").disabled = true;
      at("title").placeholder = "This model reads no titles";
    }
    if (!served.reads_pictures) {
      at("picture").disabled = true;
      at("drop").classList.add("off");
      at("hint").textContent = "This model reads no pictures";
    }
  } catch {
    showError("The server gave no answer; is it still running?");
  }
})();
