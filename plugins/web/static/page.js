// The machine's page: its screen by noVNC, and beside it what the server tells of the machine, a tab at a time.

import RFB from "/novnc/core/rfb.js";

const get = async (path) => (await fetch(`/machine/${path}`)).json();

// --- the screen ----------------------------------------------------------------------------------------------------

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const rfb = new RFB(document.getElementById("screen"), `${scheme}://${location.host}/screen`, {
    shared: true, wsProtocols: ["binary"],
  });
  rfb.scaleViewport = true;
  rfb.focusOnClick = true;
  rfb.addEventListener("connect", () => { document.body.dataset.screen = "connected"; rfb.focus(); });
  rfb.addEventListener("disconnect", () => {
    document.body.dataset.screen = "";
    setTimeout(connect, 1000);
  });
}

// --- making elements -----------------------------------------------------------------------------------------------

function element(name, text = "", style = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = style;
  return made;
}

function table(heads, rows) {
  const made = element("table");
  const head = made.createTHead().insertRow();
  for (const text of heads) head.append(element("th", text));
  const body = made.createTBody();
  for (const cells of rows) {
    const row = body.insertRow();
    for (const cell of cells) {
      const place = row.insertCell();
      if (cell instanceof Node) place.append(cell);
      else place.textContent = cell ?? "";
    }
  }
  return made;
}

const number = (text) => element("span", text, "number");

// --- the tabs ------------------------------------------------------------------------------------------------------

let device = null; // whose registers are shown

async function devices() {
  const all = await get("devices");
  const buses = [...new Set(all.map((one) => one.bus))].sort((a, b) => (a ?? "").localeCompare(b ?? ""));
  return buses.flatMap((bus) => [
    element("h3", bus ?? "on the board"),
    table(["device", "type", "at", ""], all.filter((one) => one.bus === bus).map((one) => {
      const link = element("a", one.id, one.broken ? "bad" : "");
      link.onclick = () => { device = one.id; choose("Registers"); };
      return [link, one.type, one.place, element("span", one.broken ? "broken" : one.summary, "quiet")];
    })),
  ]);
}

async function registers() {
  const all = await get("devices");
  device = all.some((one) => one.id === device) ? device : all[0]?.id;
  if (!device) return [element("p", "There are no devices.")];
  const choice = element("select");
  for (const one of all) choice.append(new Option(one.id, one.id, false, one.id === device));
  choice.onchange = () => { device = choice.value; refresh(); };
  const banks = await get(`devices/${encodeURIComponent(device)}/registers`);
  return [choice, ...banks.flatMap((bank) => [
    element("h3", bank.bank),
    table(["at", "register", "value", "fields"], bank.registers.map((one) => {
      const name = element("code", one.name);
      name.title = one.doc;
      const fields = Object.entries(one.fields).map(([field, value]) => `${field}=${value}`).join(" ");
      return [number(one.offset.toString(16)), name, number(one.value), element("span", fields, "number quiet")];
    })),
  ])];
}

const map = (path) => async () => [
  table(["from", "to", "", "device"], (await get(path)).map((one) => [
    number(one.start), number(one.end), `${one.name} (${one.kind})`, one.device,
  ])),
];

async function interrupts() {
  const told = await get("interrupts");
  return [
    table(["CPU", "vector to be taken"], Object.entries(told.pending).map(([cpu, vector]) => [
      cpu, vector === null ? "none" : number(`0x${vector.toString(16)}`),
    ])),
    table(["line", "level"], told.lines.map((one) => [one.name, one.level ? "high" : "low"])),
  ];
}

async function errors() {
  const told = (await get("status")).errors;
  return told.length ? told.toReversed().map((line) => element("div", line, "number"))
    : [element("p", "The guest did nothing that the hardware forbids.")];
}

const warmth = [];

async function heat() {
  const told = await get("heat");
  const grid = element("div");
  grid.id = "heat";
  told.cells.forEach((pages, index) => {
    warmth[index] = Math.max(pages / told.pages_a_cell, (warmth[index] ?? 0) * 0.7);
    const cell = element("i");
    const address = index * told.pages_a_cell * 4096;
    cell.title = `0x${address.toString(16)}: ${pages} of ${told.pages_a_cell} pages`;
    if (warmth[index] > 0.001) cell.style.background = `hsl(${60 - 60 * warmth[index]} 90% 50% / ${0.3 + 0.7 * warmth[index]})`;
    grid.append(cell);
  });
  const accesses = Object.entries(told.accesses);
  const most = Math.max(1, ...accesses.map(([, count]) => count));
  return [
    element("h3", "Memory that is written to"),
    ...(told.recorded ? [grid] : [element("p", "The accelerator doesn't record what the guest writes.", "quiet")]),
    element("h3", "Accesses to devices, in the last second"),
    table(["device", "accesses", ""], accesses.map(([name, count]) => {
      const bar = element("span", "", "bar");
      bar.style.width = `${(10 * count) / most}em`;
      return [name, number(count.toString()), bar];
    })),
  ];
}

const TABS = {
  Devices: devices, Registers: registers, Memory: map("memory"), Ports: map("ports"),
  Interrupts: interrupts, "Guest errors": errors, Heat: heat,
};
let chosen = "Devices";

function choose(name) {
  chosen = name;
  for (const tab of document.querySelectorAll("#tabs button")) {
    tab.setAttribute("aria-selected", tab.textContent === name);
  }
  return refresh();
}

async function refresh() {
  const name = chosen;
  const made = await TABS[name]();
  if (name !== chosen) return; // another one was chosen meanwhile
  const panel = document.getElementById("panel");
  panel.replaceChildren(...made);
  panel.dataset.tab = name;
}

async function everySecond() {
  try {
    const told = await get("status");
    document.title = document.getElementById("name").textContent = told.name;
    document.getElementById("status").textContent =
      `${told.state}, ${Math.floor(told.seconds)} s, ${told.accelerator ?? "no accelerator"}, ` +
      `${told.cpus} × ${told.cpu}, ${told.memory / 2 ** 20} MiB`;
    const busy = document.activeElement?.tagName === "SELECT";
    if (!busy && !document.body.classList.contains("whole")) await refresh();
  } catch {
    document.getElementById("status").textContent = "doesn't answer";
  }
  setTimeout(everySecond, document.hidden ? 5000 : 1000);
}

for (const name of Object.keys(TABS)) {
  const tab = element("button", name);
  tab.type = "button";
  tab.onclick = () => choose(name);
  document.getElementById("tabs").append(tab);
}
document.getElementById("whole-screen").onclick = () => document.body.classList.toggle("whole");
choose(chosen);
everySecond();
connect();
