/**
 * Assembles `crc32c.wat` into `crc32c_wasm.ts`. Run it after a change of the former:
 * `deno run -A --no-lock storage/crc32c_build.ts`. With `--check` it only says whether the two agree.
 *
 * The module is embedded in the source so that the program is one file and needs no fetch at start.
 *
 * @module
 */

/**
 * Imported by a variable, so that checking the program does not need this tool. It stays out of the
 * lock file as long as this runs with `--no-lock`.
 */
const assembler = "npm:wabt@1.0.37";

async function assemble(source: URL): Promise<Uint8Array> {
  const { default: wabt } = await import(assembler);
  const module = (await wabt()).parseWat("crc32c.wat", await Deno.readTextFile(source));
  try {
    module.validate();
    return module.toBinary({}).buffer;
  } finally {
    module.destroy();
  }
}

function render(binary: Uint8Array): string {
  const lines = binary.toBase64().match(/.{1,96}/g) ?? [];
  return [
    "// Made from crc32c.wat by crc32c_build.ts: change the former and run the latter.",
    "",
    "/** The assembled `crc32c.wat`, in base64. */",
    "export const crc32cWasm: string =",
    ...lines.map((line, i) => `  "${line}"${i === lines.length - 1 ? ";" : " +"}`),
    "",
  ].join("\n");
}

const target = new URL("./crc32c_wasm.ts", import.meta.url);
const text = render(await assemble(new URL("./crc32c.wat", import.meta.url)));
if (!Deno.args.includes("--check")) {
  await Deno.writeTextFile(target, text);
} else if (await Deno.readTextFile(target) !== text) {
  console.error("crc32c_wasm.ts is not what crc32c.wat assembles to: run crc32c_build.ts");
  Deno.exit(1);
}
