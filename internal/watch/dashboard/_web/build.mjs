// Writes ../page.html: the template with all styles and scripts inlined, so
// that the miner serves one file and the page asks for nothing but its events.

import { readFileSync, writeFileSync } from "node:fs";

// CRLF would not survive: browsers turn it into LF before they hash the text
// for the Content-Security-Policy.
const read = (name) =>
  readFileSync(new URL(name, import.meta.url), "utf8").replaceAll("\r\n", "\n").trim();
const uplot = (name) => read(`node_modules/uplot/${name}`);

const parts = {
  license: uplot("LICENSE"),
  style: [uplot("dist/uPlot.min.css"), read("style.css")].join("\n"),
  // The function makes the "use strict" that opens app.js a directive and
  // keeps its names out of the global scope.
  script: [uplot("dist/uPlot.iife.min.js"), "(() => {", read("app.js"), "})();"].join("\n"),
};

// A part must not end its element or comment early, nor (for a script) open
// the state in which "</script>" no longer ends it.
const forbidden = { license: /--/, style: /<\/?style/i, script: /<\/?script|<!--/i };
for (const [name, text] of Object.entries(parts)) {
  if (forbidden[name].test(text)) throw new Error(`${name} contains ${forbidden[name]}`);
}

const page = read("index.html").replace(/{{(\w+)}}/g, (_, name) => {
  if (!(name in parts)) throw new Error(`index.html: unknown part ${name}`);
  return `\n${parts[name]}\n`;
});

// The server finds the texts to hash by these exact tags.
for (const tag of ["<style>", "</style>", "<script>", "</script>"]) {
  if (page.split(tag).length !== 2) throw new Error(`page must contain ${tag} exactly once`);
}

writeFileSync(new URL("../page.html", import.meta.url), page + "\n");
