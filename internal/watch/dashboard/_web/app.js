"use strict";

const WINDOW = 15 * 60; // seconds that the curve spans
const SILENCE = 6000; // ms without a state, sent every second, that mean a dead connection
const RETRY = 2000; // ms

const $ = (id) => document.getElementById(id);

// --- Human forms of numbers --------------------------------------------------

const NONE = "–";
const PREFIXES = ["", "k", "M", "G", "T", "P", "E"];
const exact = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const clockSeconds = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

const date = (seconds) => new Date(seconds * 1000);

// Always three digits, so that a number does not change its width each second.
function scaled(value) {
  let power = 0;
  while (value >= 999.5 && power < PREFIXES.length - 1) {
    value /= 1000;
    power++;
  }
  const whole = power === 0 && Number.isInteger(value);
  const decimals = whole || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return [value.toFixed(decimals), PREFIXES[power]];
}

function formatCount(value) {
  if (value >= 1e21) return value.toExponential(2).replace("e+", " × 10^"); // a difficulty that nobody meets
  return scaled(value).join(" ").trim();
}

function formatRate(value) {
  if (value === null) return NONE;
  const [number, prefix] = scaled(value);
  return `${number} ${prefix}H/s`;
}

function formatDuration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const min = Math.floor(s / 60);
  const h = Math.floor(min / 60);
  const d = Math.floor(h / 24);
  if (d) return `${d} d ${h % 24} h`;
  if (h) return `${h} h ${min % 60} min`;
  if (min) return `${min} min ${s % 60} s`;
  return `${s} s`;
}

// A time that may be longer than anybody lives.
function formatLong(seconds) {
  const years = seconds / (365.25 * 24 * 3600);
  if (years >= 1000) return "> 1000 years";
  if (years >= 2) return `${Math.round(years)} years`;
  return seconds < 10 ? `${+seconds.toPrecision(2)} s` : formatDuration(seconds);
}

function formatEffort(effort) {
  return effort < 100 ? `${Math.round(effort * 100)} %` : `${Math.round(effort)} ×`;
}

function formatTried(tried) {
  const percent = tried * 100;
  if (percent <= 0) return "0 %";
  if (percent < 0.01) return "< 0.01 %";
  if (percent >= 100) return "100 %";
  // Rounding up must not claim a range that is not yet used up.
  return percent < 10 ? `${percent.toFixed(2)} %` : `${Math.min(percent, 99.9).toFixed(1)} %`;
}

// By code points: half a surrogate pair would show as a broken character.
function shorten(text, head, tail) {
  if (text.length <= head + tail + 1) return text;
  const points = Array.from(text);
  if (points.length <= head + tail + 1) return text;
  return `${points.slice(0, head).join("")}…${tail ? points.slice(-tail).join("") : ""}`;
}

// The end of a scale: steps rather than the maximum itself, so that the scale
// stands still while the rate wavers.
function ceiling(max) {
  if (!(max > 0)) return 1000;
  const unit = 10 ** Math.floor(Math.log10(max));
  const step = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 15].find((s) => s * unit >= max * 1.05);
  return step * unit;
}

// --- Writing to the page -----------------------------------------------------

// Writing even an equal text would drop the reader's selection.
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setTitle(element, text) {
  if (element.title !== text) element.title = text;
}

function make(tag, className, parent, role) {
  const element = document.createElement(tag);
  element.className = className;
  if (role) element.setAttribute("role", role);
  parent.append(element);
  return element;
}

// --- Curve -------------------------------------------------------------------

const curve = (() => {
  const box = $("curve");
  const colour = (name) => () => getComputedStyle(box).getPropertyValue(name);
  let times = [];
  let rates = [];

  // One unit for the whole axis, that of its largest value.
  const rateTicks = (u, ticks) => {
    const power = Math.max(0, Math.floor(Math.log10(Math.max(...ticks, 1)) / 3));
    return ticks.map((t) => (t ? `${+(t / 1000 ** power).toPrecision(6)} ${PREFIXES[power]}H/s` : "0"));
  };

  let tip;
  const moveTip = (u) => {
    const { idx, left } = u.cursor;
    tip.hidden = left < 0 || idx == null || rates[idx] == null;
    if (tip.hidden) return;
    tip.textContent = `${clockSeconds.format(date(times[idx]))} · ${formatRate(rates[idx])}`;
    const x = u.valToPos(times[idx], "x");
    // On the side that has more room.
    const side = x > u.over.clientWidth / 2 ? "calc(-100% - 12px)" : "12px";
    tip.style.transform = `translateX(calc(${x}px + ${side}))`;
  };

  const axis = {
    stroke: colour("--muted"),
    font: "12px system-ui, sans-serif",
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  };
  const plot = new uPlot(
    {
      width: box.clientWidth,
      height: box.clientHeight,
      legend: { show: false },
      padding: [8, 28, 0, 0],
      cursor: { y: false, drag: { x: false, y: false } },
      scales: {
        x: {
          range: () => {
            const end = times.at(-1) ?? Date.now() / 1000;
            return [end - WINDOW, end];
          },
        },
        y: { range: () => [0, ceiling(Math.max(0, ...rates))] },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: 28,
          gap: 8,
          space: 72,
          incrs: [60, 120, 180, 300],
          values: (u, ticks) => ticks.map((t) => clock.format(date(t))),
        },
        { ...axis, size: 70, space: 40, values: rateTicks },
      ],
      series: [
        {},
        { stroke: colour("--accent"), fill: colour("--accent-soft"), width: 1.5, points: { show: false } },
      ],
      hooks: {
        init: [
          (u) => {
            tip = make("div", "tip", u.over);
            tip.hidden = true;
          },
        ],
        setCursor: [moveTip],
      },
    },
    [times, rates],
    box,
  );

  new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: box.clientHeight })).observe(box);

  return {
    replace(history) {
      times = [];
      rates = [];
      history.times.forEach((time, i) => this.add(time, history.rates[i]));
    },

    add(time, rate) {
      // The first state repeats the last point of the history, and a clock that
      // was set back repeats more; uPlot needs ascending times.
      while (times.at(-1) >= time) {
        times.pop();
        rates.pop();
      }
      times.push(time);
      rates.push(rate);
      const first = times.findIndex((t) => t >= time - WINDOW);
      times.splice(0, first);
      rates.splice(0, first);
    },

    draw() {
      plot.setData([times, rates]);
      box.dataset.points = times.length;
      box.dataset.last = rates.at(-1);
    },

    // For new colours, which are read from the style while drawing.
    repaint() {
      plot.redraw(false);
    },
  };
})();

// --- State and job -----------------------------------------------------------

const STATES = {
  working: "Working",
  waiting: "Waiting for a job",
  not_connected: "Not connected",
  refused: "Refused",
  idle: "Idle",
  paused: "Paused",
  no_engine: "No engine",
};

function drawState(status, now) {
  $("state-card").dataset.state = status.state;
  setText($("state"), STATES[status.state] ?? status.state);
  const { node, pool, hub, job } = status;
  const calling = node === null && pool === null && hub === null && status.state === "working" ? "Nodes call this miner, and one has a job for it." : "";
  setText($("reason"), status.reason || calling);
  $("reason").hidden = $("reason").textContent === "";
  $("node").hidden = node === null;
  if (node) {
    const since = Date.parse(node.since) / 1000;
    setText($("node-address"), node.fallback ? `${node.address} (a fallback)` : node.address);
    setText($("node-since"), formatDuration(now - since));
    setTitle($("node-since"), moment.format(date(since)));
    setText($("node-connections"), exact.format(node.connections));
    setTitle($("node-connections"), `${exact.format(node.failures)} lost or failed`);
    setText($("node-jobs"), exact.format(node.jobs));
    setText($("node-results"), exact.format(node.results));
  }
  $("pool").hidden = pool === null;
  if (pool) drawPool(pool, now);
  $("hub").hidden = hub === null;
  if (hub) drawHub(hub, now);
  setText($("time-to-label"), pool ? "Time to a share" : "Time to a block");

  $("job").hidden = job === null;
  $("job-none").hidden = job !== null;
  if (job) {
    setText($("job-name"), shorten(job.id, 40, 8));
    setTitle($("job-name"), job.id);
    setText($("difficulty"), formatCount(job.difficulty));
    setTitle($("difficulty"), `${exact.format(job.difficulty)} hashes a winner, on average`);
    setText($("time-to-block"), job.time_to_block_seconds === null ? NONE : formatLong(job.time_to_block_seconds));
    setText($("job-elapsed"), formatDuration(job.elapsed_seconds));
  }
}

// drawPool shows how the miner stands with its pool, and what became of its shares.
function drawPool(pool, now) {
  const since = Date.parse(pool.since) / 1000;
  setText($("pool-url"), pool.fallback ? `${pool.url} (a fallback)` : pool.url);
  setText($("pool-since"), formatDuration(now - since));
  setTitle($("pool-since"), moment.format(date(since)));
  setText($("pool-connections"), exact.format(pool.connections));
  setTitle($("pool-connections"), `${exact.format(pool.failures)} lost or failed`);
  const { accepted, stale, duplicate, low_difficulty: low, other, unacknowledged } = pool.shares;
  const refused = stale + duplicate + low + other;
  const part = refused === 0 ? "" : ` (${((100 * refused) / (accepted + refused)).toFixed(1)} %)`;
  setText($("pool-accepted"), exact.format(accepted));
  setText($("pool-refused"), exact.format(refused) + part);
  setTitle($("pool-refused"), `${stale} stale, ${duplicate} duplicate, ${low} low difficulty, ${other} other`);
  setText($("pool-unacknowledged"), exact.format(unacknowledged));
  setText($("pool-latency"), pool.latency_seconds === null ? NONE : formatBriefly(pool.latency_seconds));
}

// drawHub shows how the miner stands with its hub.
function drawHub(hub, now) {
  const since = Date.parse(hub.since) / 1000;
  setText($("hub-address"), hub.address);
  setText($("hub-name"), hub.name || NONE);
  setText($("hub-since"), formatDuration(now - since));
  setTitle($("hub-since"), moment.format(date(since)));
  setText($("hub-connections"), exact.format(hub.connections));
  setTitle($("hub-connections"), `${exact.format(hub.failures)} lost or failed`);
  setText($("hub-leases"), exact.format(hub.leases));
  setText($("hub-taken"), exact.format(hub.winners.taken));
  setTitle($("hub-taken"), `${hub.winners.known} known already, ${hub.winners.stale} stale, ${hub.winners.wrong} wrong`);
  setText($("hub-waiting"), exact.format(hub.waiting));
}

// --- Machines ----------------------------------------------------------------

const MACHINES_EVERY = 2000; // ms between two questions
const MACHINES_SHOWN = 50; // on a page

// The list may be thousands long: the miner sorts it and sends a page of it.
const machines = (() => {
  const body = $("machines").tBodies[0];
  const labels = Array.from($("machines").tHead.rows[0].cells, (th) => th.textContent);
  let offset = 0;
  let asked = -MACHINES_EVERY; // when, in ms
  let question = 0; // its number: answers to earlier ones are dropped
  let pending = false;

  async function ask() {
    const number = ++question;
    pending = true;
    asked = performance.now();
    const query = new URLSearchParams({
      sort: $("machines-sort").value,
      filter: $("machines-filter").value,
      state: $("machines-state").value,
      offset,
      limit: MACHINES_SHOWN,
    });
    try {
      const response = await fetch(`api/v1/machines?${query}`, { signal: AbortSignal.timeout(SILENCE) });
      if (!response.ok) throw new Error(await response.text());
      const page = await response.json();
      if (number === question) draw(page);
    } catch (error) {
      if (number === question) setText($("machines-page"), `The machines cannot be shown: ${error.message}`);
    } finally {
      if (number === question) pending = false;
    }
  }

  function draw({ total, matching, offset: first, machines: list }) {
    if (list.length === 0 && matching > 0) { // there are fewer than there were
      offset = Math.floor((matching - 1) / MACHINES_SHOWN) * MACHINES_SHOWN;
      ask();
      return;
    }
    const now = Date.now();
    while (body.rows.length > list.length) body.deleteRow(-1);
    list.forEach((machine, i) => {
      const tr = body.rows[i] ?? row();
      const [name, state, short, long, engines, leases, winners, seen, version] = tr.cells;
      tr.dataset.machine = machine.state;
      setText(name, machine.name);
      setTitle(name, `id ${machine.id}, ${exact.format(machine.hashes)} hashes`);
      setText(state.firstChild, machine.state);
      setTitle(state, machine.reason || `for ${formatDuration((now - Date.parse(machine.since)) / 1000)}`);
      const there = machine.state !== "gone" && machine.state !== "out";
      setText(short, there ? formatRate(machine.hash_rate_10s) : NONE);
      setText(long, there ? formatRate(machine.hash_rate_15m) : NONE);
      const has = machine.engines.join(", ") || NONE;
      setText(engines, machine.threads > 1 ? `${has}, ${machine.threads} threads` : has);
      setText(leases, exact.format(machine.leases));
      setText(winners, exact.format(machine.winners));
      setText(seen, there ? "now" : `${formatDuration((now - Date.parse(machine.last_seen)) / 1000)} ago`);
      setTitle(seen, moment.format(new Date(machine.last_seen)));
      setText(version, machine.version);
      setTitle(version, machine.wrong ? `${machine.wrong} wrong nonces` : "");
    });
    $("machines-back").disabled = first === 0;
    $("machines-next").disabled = first + list.length >= matching;
    const of = matching === total ? exact.format(total) : `${exact.format(matching)} of ${exact.format(total)}`;
    setText($("machines-page"), list.length === 0 ? (total ? "No machine is like that." : "No machine has joined yet.") : `${exact.format(first + 1)} to ${exact.format(first + list.length)} of ${of}`);
  }

  function row() {
    const tr = make("tr", "", body, "row");
    ["name", "state", "short", "long", "engines", "leases", "winners", "seen", "version"].forEach((name, column) => {
      make("td", `machine-${name}`, tr, "cell").dataset.label = labels[column];
    });
    make("span", "pill", tr.cells[1]);
    return tr;
  }

  const anew = () => {
    offset = 0;
    ask();
  };
  for (const id of ["machines-filter", "machines-state", "machines-sort"]) $(id).addEventListener("input", anew);
  const turn = (by) => {
    offset = Math.max(0, offset + by);
    ask();
  };
  $("machines-back").addEventListener("click", () => turn(-MACHINES_SHOWN));
  $("machines-next").addEventListener("click", () => turn(MACHINES_SHOWN));

  return {
    // show shows a fleet, or none.
    show(fleet) {
      $("machines-card").hidden = fleet === null;
      if (fleet === null) return;
      const parts = ["working", "idle", "unable", "gone", "out"].filter((s) => fleet.machines[s]).map((s) => `${exact.format(fleet.machines[s])} ${s}`);
      setText($("machines-summary"), [...parts, formatRate(fleet.hash_rate_10s)].join(" · "));
      setTitle($("machines-summary"), `${formatRate(fleet.hash_rate_15m)} over 15 min, ${exact.format(fleet.leases.sent)} leases`);
      if (!pending && performance.now() - asked >= MACHINES_EVERY) ask();
    },
  };
})();

// --- Winners -----------------------------------------------------------------

const SHOWN_WINNERS = 10;

function formatAnswer({ answer, answer_after_seconds: after }) {
  if (after === null) return answer === "none" ? "none yet" : answer;
  return `${answer.replace("_", " ")} after ${formatBriefly(after)}`;
}

function formatBriefly(seconds) {
  return seconds < 1 ? `${+(seconds * 1000).toPrecision(3)} ms` : formatDuration(seconds);
}

function drawWinners(status) {
  $("winners-card").hidden = status.winners.length === 0;
  const winners = status.winners.slice(0, SHOWN_WINNERS);
  const body = $("winners").tBodies[0];
  const labels = Array.from($("winners").tHead.rows[0].cells, (th) => th.textContent);
  while (body.rows.length > winners.length) body.deleteRow(-1);
  winners.forEach((winner, i) => {
    let tr = body.rows[i];
    if (!tr) {
      tr = make("tr", "", body, "row");
      ["time", "job", "took", "answer", "nonce"].forEach((name, column) => {
        make("td", `winner-${name}`, tr, "cell").dataset.label = labels[column];
      });
      make("bdi", "", tr.cells[1]); // as the names of jobs come from strangers
    }
    const [time, job, took, answer, nonce] = tr.cells;
    const found = Date.parse(winner.time) / 1000;
    setText(time, moment.format(date(found)));
    setText(job.firstChild, shorten(winner.job, 40, 8));
    setTitle(job, winner.job);
    setText(took, winner.took_seconds < 10 ? `${winner.took_seconds.toFixed(2)} s` : formatDuration(winner.took_seconds));
    setText(answer, formatAnswer(winner));
    setText(nonce, shorten(winner.nonce, 10, 8));
    setTitle(nonce, winner.nonce);
  });
  const more = status.found - winners.length;
  setText($("winners-note"), `${exact.format(more)} older ${more === 1 ? "winner is" : "winners are"} not shown.`);
  $("winners-note").hidden = more <= 0;
}

// --- Devices and threads -----------------------------------------------------------------

// A device whose only worker is the device itself is a row among the devices alone.
function drawDevices(devices) {
  const list = $("devices");
  list.hidden = devices.length < 2 && !devices.some((d) => d.gpu);
  while (list.children.length > devices.length) list.lastChild.remove();
  devices.forEach((device, i) => {
    let item = list.children[i];
    if (!item) {
      item = make("li", "device", list);
      for (const name of ["name", "rate", "engine", "gpu"]) make("span", `device-${name}`, item);
    }
    const [name, rate, engine, gpu] = item.children;
    setText(name, device.name);
    setText(rate, formatRate(device.hash_rate));
    setText(engine, device.gpu ? `${device.gpu.model}, ${engineName(device)}` : engineName(device));
    setText(gpu, device.gpu ? gpuState(device.gpu) : "");
    gpu.classList.toggle("device-failed", Boolean(device.gpu && device.gpu.reason));
  });
  drawThreads(devices.filter((d) => !d.gpu).flatMap((d) => d.threads.map((t) => ({ name: t.name, rate: t.hash_rate }))));
}

// gpuState says how a GPU and its process stand.
function gpuState({ state, reason, restarts, launch_seconds: launch }) {
  const words = { starting: "starts", waiting: "failed, and starts again later", out_of_service: "OUT OF SERVICE" };
  const parts = [reason ? `${words[state] || state}: ${reason}` : words[state] || state];
  if (state === "ready" && launch > 0) parts.push(`a launch takes ${(1000 * launch).toPrecision(3)} ms`);
  if (restarts > 0) parts.push(`${exact.format(restarts)} ${restarts === 1 ? "restart" : "restarts"}`);
  return parts.join(" · ");
}

function engineName({ engine, backend }) {
  return backend ? `${engine} (${backend})` : engine;
}

const threads = []; // {item, name, fill, rate}, in the order of the devices

function drawThreads(workers) {
  const rates = workers.map((w) => w.rate);
  const list = $("threads");
  const count = rates.length;
  $("threads-card").hidden = count === 0;
  list.dataset.density = count <= 32 ? "rows" : count <= 256 ? "cells" : "columns";

  while (threads.length > count) threads.pop().item.remove();
  while (threads.length < count) {
    const item = make("li", "thread", list);
    const name = make("span", "thread-name", item);
    const fill = make("span", "", make("span", "bar", item));
    threads.push({ item, name, fill, rate: make("span", "thread-rate", item) });
  }

  const slowest = Math.min(...rates);
  const fastest = Math.max(...rates);
  const top = ceiling(fastest);
  workers.forEach(({ name: title, rate: value }, i) => {
    const { item, name, fill, rate } = threads[i];
    const text = formatRate(value);
    setText(name, title);
    setText(rate, text);
    setTitle(item, `Thread ${title}: ${text}`);
    fill.style.setProperty("--fill", (value / top).toFixed(3));
  });

  setText($("threads-title"), count === 1 ? "1 thread" : `${count} threads`);
  const spread = `${formatRate(slowest)} to ${formatRate(fastest)} each`;
  setText($("threads-summary"), fastest > 0 ? (count > 1 ? spread : "") : "Idle");
}

// --- Jobs --------------------------------------------------------------------

const STATUS = { running: "Running", completed: "Completed", failed: "Failed", cancelled: "Cancelled" };
const FEW_JOBS = 10;
let allJobs = false; // or few
const rows = new Map(); // {tr, pill, id, engine, …} by job ID

function makeRow(job) {
  const tr = document.createElement("tr");
  tr.setAttribute("role", "row");
  tr.dataset.job = job.id;
  const labels = Array.from($("jobs").tHead.rows[0].cells, (th) => th.textContent);
  const cell = (name, tag = "td", role = "cell") => {
    const element = make(tag, `job-${name}`, tr, role);
    element.dataset.label = labels[tr.cells.length - 1];
    return element;
  };

  const pill = make("span", "pill", cell("status"));
  const idCell = cell("id", "th", "rowheader");
  idCell.scope = "row";
  // Job IDs come from strangers: isolated, their writing direction cannot
  // rearrange what stands around them.
  const id = make("bdi", "", idCell);
  id.textContent = shorten(job.id, 40, 8);
  id.title = job.id;

  return {
    tr, pill,
    engine: cell("engine"), age: cell("age"), hashes: cell("hashes"),
    rate: cell("rate"), tried: cell("tried"), result: cell("result"),
  };
}

function drawJob(row, job, now) {
  row.tr.dataset.status = job.status;
  setText(row.pill, STATUS[job.status] ?? job.status);
  setText(row.engine, job.engine);

  setText(row.age, formatDuration(now - job.started));
  const ran = job.status === "running" ? "" : `, ran for ${formatDuration(job.elapsed)}`;
  setTitle(row.age, `Started ${moment.format(date(job.started))}${ran}`);

  setText(row.hashes, formatCount(job.hashes));
  setTitle(row.hashes, exact.format(job.hashes));
  setText(row.rate, formatRate(job.rate));
  setTitle(row.rate, job.status === "running" ? "" : "Average over the job");
  setText(row.tried, formatTried(job.tried));
  setTitle(row.tried, String(job.tried));

  const found = job.status === "completed";
  row.result.classList.toggle("nonce", found);
  setText(row.result, found ? shorten(job.result, 10, 8) : shorten(job.result, 160, 0));
  setTitle(row.result, job.result);
}

function drawJobs(time) {
  const jobs = allJobs ? state.jobs : state.jobs.slice(0, FEW_JOBS);
  const { omitted } = state;
  const listed = new Set(jobs.map((job) => job.id));
  for (const [id, row] of rows) {
    if (listed.has(id)) continue;
    row.tr.remove();
    rows.delete(id);
  }

  const body = $("jobs").tBodies[0];
  jobs.forEach((job, i) => {
    if (!rows.has(job.id)) rows.set(job.id, makeRow(job));
    const row = rows.get(job.id);
    // Only new rows are moved, as the others keep their order.
    if (body.rows[i] !== row.tr) body.insertBefore(row.tr, body.rows[i] ?? null);
    drawJob(row, job, time);
  });

  $("jobs").tHead.hidden = jobs.length === 0;
  let note = "";
  if (jobs.length === 0) note = "No jobs yet. What a node or a pool asks for will appear here.";
  else if (omitted > 0) note = `${exact.format(omitted)} older ${omitted === 1 ? "job is" : "jobs are"} not shown.`;
  setText($("jobs-note"), note);
  $("jobs-note").hidden = note === "" || (!allJobs && state.jobs.length > FEW_JOBS);
  $("jobs-more").hidden = state.jobs.length <= FEW_JOBS;
  setText($("jobs-more"), allJobs ? "Show fewer" : `Show ${state.jobs.length - FEW_JOBS} more`);
}

$("jobs-more").addEventListener("click", () => {
  allJobs = !allJobs;
  draw();
});

// --- The whole page ----------------------------------------------------------

let facts = null;
let state = null; // the latest

function drawFacts() {
  setText($("go"), facts.go);
  setText($("platform"), `${facts.os}/${facts.arch}`);
  setText($("cpu"), facts.cpu || NONE);
}

function draw() {
  if (!state || document.hidden) return;

  const { status } = state;
  const now = Date.parse(status.started) / 1000 + status.uptime_seconds;
  const [number, prefix] = scaled(status.hash_rate);
  $("rate").dataset.value = status.hash_rate;
  setText($("rate-number"), number);
  setText($("rate-unit"), `${prefix}H/s`);
  setText($("rate-10s"), formatRate(status.hash_rate_10s));
  setText($("rate-60s"), formatRate(status.hash_rate_60s));
  setText($("rate-15m"), formatRate(status.hash_rate_15m));

  setText($("found"), exact.format(status.found));
  setText($("effort"), formatEffort(status.effort));
  setText($("hashes"), formatCount(status.hashes));
  setTitle($("hashes"), exact.format(status.hashes));
  for (const end of ["completed", "failed", "cancelled"]) setText($(end), exact.format(status.jobs[end]));

  setText($("version"), status.version || NONE);
  setText($("revision"), status.revision.slice(0, 12) || NONE);
  setTitle($("revision"), status.revision);
  setText($("pow"), status.pow || NONE);
  setText($("engine"), status.devices.map(engineName).join(", ") || (status.fleet ? "those of the fleet" : NONE));
  const workers = status.devices.reduce((sum, device) => sum + device.threads.length, 0);
  setText($("workers"), facts ? `${workers} of ${facts.cpus} CPUs` : workers);
  setText($("uptime"), formatDuration(status.uptime_seconds));

  curve.draw();
  drawState(status, now);
  machines.show(status.fleet);
  drawDevices(status.devices);
  drawWinners(status);
  drawJobs(now);
}

document.addEventListener("visibilitychange", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", curve.repaint);

// --- Connection --------------------------------------------------------------

const CONNECTION = { live: "Live", lost: "Connection lost, retrying…" };

function setConnection(to) {
  const element = $("connection");
  if (element.dataset.state === to) return;
  element.dataset.state = to;
  setText(element, CONNECTION[to]); // also read out, as it is a live region
  document.body.classList.toggle("stale", to === "lost");
  curve.repaint();
}

let timer;

// EventSource's own retrying does not suffice: it gives up on an answer such as
// a proxy's 502, and does not notice a connection that just falls silent.
function connect() {
  const source = new EventSource("events");
  const lose = () => {
    source.close();
    setConnection("lost");
    document.title = "Connection lost – quantus-miner";
  };
  const retryAfter = (ms) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      lose();
      connect();
    }, ms);
  };

  source.addEventListener("facts", (event) => {
    facts = JSON.parse(event.data);
    drawFacts();
  });
  source.addEventListener("history", (event) => curve.replace(JSON.parse(event.data)));
  source.addEventListener("state", (event) => {
    state = JSON.parse(event.data);
    curve.add(state.time, state.second);
    document.title = `${formatRate(state.status.hash_rate)} – quantus-miner`;
    setConnection("live");
    draw();
    retryAfter(SILENCE);
  });
  source.addEventListener("error", () => {
    lose();
    retryAfter(RETRY);
  });
  retryAfter(SILENCE);
}

connect();
