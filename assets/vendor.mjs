// Renews static/vendor and static/icons.svg from the pinned packages: npm ci && npm run vendor.
// Nobody needs this to run Binnacle: what it writes is committed, and a test re-hashes it.
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const staticDir = join(here, "..", "static");
const target = join(staticDir, "vendor");
const inPackage = (name, path) => join(here, "node_modules", name, path);

// name, the folder it gets, the dist files that pages use, its licence file
const PACKAGES = [
  { name: "@tabler/core", folder: "tabler", files: ["dist/css/tabler.min.css"], license: join(here, "licenses/tabler-core.txt") },
  { name: "@tabler/icons", folder: "tabler-icons", files: [] },
  { name: "idiomorph", folder: "idiomorph", files: ["dist/idiomorph-ext.min.js"] },
  {
    name: "lightweight-charts",
    folder: "lightweight-charts",
    files: ["dist/lightweight-charts.standalone.production.js"],
    notice: join(here, "licenses/lightweight-charts-NOTICE.txt"),
  },
  { name: "@fontsource-variable/inter", folder: "inter", files: ["files/inter-latin-wght-normal.woff2"] },
];

function vendor(pack) {
  const { version, license } = JSON.parse(readFileSync(inPackage(pack.name, "package.json"), "utf8"));
  const folder = join(target, pack.folder);
  mkdirSync(folder, { recursive: true });
  copyFileSync(pack.license ?? inPackage(pack.name, "LICENSE"), join(folder, "LICENSE"));
  if (pack.notice) copyFileSync(pack.notice, join(folder, "NOTICE"));
  const files = pack.files.map((path) => {
    // Source maps are not shipped; a reference to one would be a 404 in the developer's console.
    const text = readFileSync(inPackage(pack.name, path));
    const body = path.endsWith(".woff2") ? text : Buffer.from(withoutSourceMap(text.toString("utf8")));
    writeFileSync(join(folder, basename(path)), body);
    return entry(`${pack.folder}/${basename(path)}`, body);
  });
  return { name: pack.name, version, license, files };
}

const entry = (file, body) => ({ file, sha256: createHash("sha256").update(body).digest("hex") });
const withoutSourceMap = (text) => text.replace(/\n?(\/\/[#@] sourceMappingURL=.*|\/\*[#@] sourceMappingURL=.*?\*\/)\s*$/, "\n");

function sprite() {
  const names = readFileSync(join(here, "icons.txt"), "utf8").split("\n").filter(Boolean);
  const symbols = names.map((name) => {
    const source = inPackage("@tabler/icons", `icons/outline/${name}.svg`);
    if (!existsSync(source)) throw new Error(`@tabler/icons has no outline icon ${name}`);
    const body = readFileSync(source, "utf8").replace(/^[\s\S]*?<svg[\s\S]*?>\s*/, "").replace(/\s*<\/svg>\s*$/, "");
    return `<symbol id="${name}" viewBox="0 0 24 24">${body.replace(/\s*\n\s*/g, "")}</symbol>`;
  });
  const body = `<svg xmlns="http://www.w3.org/2000/svg">\n${symbols.join("\n")}\n</svg>\n`;
  writeFileSync(join(staticDir, "icons.svg"), body);
  return entry("../icons.svg", body);
}

rmSync(target, { recursive: true, force: true });
const manifest = PACKAGES.map(vendor);
manifest.find((pack) => pack.name === "@tabler/icons").files.push(sprite());
writeFileSync(join(target, "vendor.json"), JSON.stringify(manifest, null, 2) + "\n");
