/**
 * The walls of the building, as tests: which folder may import which, and what the pure ones may not
 * touch.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, repositoryRoot as root } from "./paths.ts";

/** What each folder may import besides itself; `types` marks folders of which only types are used. */
const allowed: Record<string, { readonly any: string[]; readonly types: string[] }> = {
  raft: { any: [], types: [] },
  queue: { any: [], types: [] },
  storage: { any: [], types: ["raft"] },
  wire: { any: [], types: ["raft", "queue"] },
  client: { any: ["wire"], types: ["queue"] },
  broker: { any: ["raft", "queue", "storage", "wire", "client"], types: [] },
  cli: { any: ["raft", "queue", "storage", "wire", "client", "broker"], types: [] },
};

/** Constants that are part of the formats, and so belong to the folders that define them. */
const constants = new Set([
  "EntryKind",
  "SettleOperation",
  "SettleStatus",
  "QUEUE_SETTINGS",
  "queueSettings",
  "deadLetterQueueOf",
]);

interface Import {
  readonly specifier: string;
  readonly names: readonly string[];
  readonly isType: boolean;
}

function sources(folder: string): string[] {
  return [...Deno.readDirSync(`${root}${folder}`)].flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) return sources(path);
    return /\.ts$/.test(path) && !/_(test|bench|testing)\.ts$/.test(path) ? [path] : [];
  });
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}

function importsOf(text: string): Import[] {
  const pattern = /^(?:import|export)\s+(type\s+)?([^;]*?)\s*from\s+"([^"]+)"/gm;
  return [...withoutComments(text).matchAll(pattern)].map(([, type, clause, specifier]) => {
    const names = (clause!.match(/\{([\s\S]*)\}/)?.[1] ?? clause!).split(",")
      .map((name) => name.trim()).filter((name) => name !== "");
    return {
      specifier: specifier!,
      names: names.filter((name) => !name.startsWith("type ")),
      isType: type !== undefined,
    };
  });
}

Deno.test("imports point one way", () => {
  const offences: string[] = [];
  for (const [folder, { any, types }] of Object.entries(allowed)) {
    for (const path of sources(folder)) {
      for (const { specifier, names, isType } of importsOf(Deno.readTextFileSync(root + path))) {
        if (!specifier.startsWith(".")) {
          // A module that is imported by URL has no import map.
          const isLibrary = folder === "client" || folder === "wire";
          if (isLibrary && !specifier.startsWith("npm:cbor-x@")) {
            offences.push(`${path}: ${specifier}`);
          }
          continue;
        }
        const target = fromFileUrl(new URL(specifier, `file://${root}${path}`)).slice(root.length);
        const [other] = target.split("/") as [string];
        if (other === folder || any.includes(other)) continue;
        if (other === "mod.ts" && folder === "cli") continue;
        const onlyFormat = types.includes(other) &&
          (isType || names.every((name) => constants.has(name)));
        if (!onlyFormat) offences.push(`${path}: ${specifier}`);
      }
    }
  }
  assertEquals(offences, []);
});

Deno.test("no module is JSON, so that the executable can keep what it has compiled", () => {
  const offences = Object.keys(allowed).flatMap(sources).filter((path) => {
    return importsOf(Deno.readTextFileSync(root + path)).some(({ specifier }) => {
      return specifier.endsWith(".json");
    });
  });
  assertEquals(offences, []);
});

Deno.test("raft/ and queue/ have no I/O, clock, randomness or async", () => {
  const forbidden =
    /\bDeno\.|\bDate\b|\bMath\.random\b|\bsetTimeout\b|\bsetInterval\b|\bqueueMicrotask\b|\basync\b|\bawait\b(?!\()|\bPromise\b|\bperformance\b|\bfetch\b|\bcrypto\b/;
  const offences: string[] = [];
  for (const path of [...sources("raft"), ...sources("queue")]) {
    const lines = withoutComments(Deno.readTextFileSync(root + path)).split("\n");
    for (const line of lines) if (forbidden.test(line)) offences.push(`${path}: ${line.trim()}`);
  }
  assertEquals(offences, []);
});

Deno.test("only the runtimes and the command line touch Deno, clocks and chance", () => {
  const forbidden =
    /\bDeno\.(?!errors)|\bDate\.now\b|\bMath\.random\b|\bsetTimeout\(|\bperformance\b/;
  const runtimes = /deno_(runtime|file_system)\.ts$|_build\.ts$/;
  const offences: string[] = [];
  for (const folder of ["storage", "wire", "client", "broker"]) {
    for (const path of sources(folder)) {
      if (runtimes.test(path)) continue;
      const text = withoutComments(Deno.readTextFileSync(root + path))
        .replaceAll(/[cC]lock\.setTimeout\(/g, "").replaceAll(/^\s*setTimeout\(callback/gm, "");
      for (const line of text.split("\n")) {
        if (forbidden.test(line)) offences.push(`${path}: ${line.trim()}`);
      }
    }
  }
  assertEquals(offences, []);
});

Deno.test("the test of imports sees what it should", () => {
  const [first, second] = importsOf(
    'import { a, type B } from "./x.ts";\nexport type { C } from "../y.ts";',
  );
  assertEquals(first, { specifier: "./x.ts", names: ["a"], isType: false });
  assert(second?.isType);
});
