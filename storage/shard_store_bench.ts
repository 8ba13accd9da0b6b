/**
 * `persist()` on the real disk, in the directory for temporary files.
 */

import type { Entry } from "../raft/types.ts";
import { denoFileSystem } from "./deno_file_system.ts";
import { ShardStore } from "./shard_store.ts";

const configuration = {
  voters: [1],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};
const directory = Deno.makeTempDirSync({ prefix: "flowmq-bench-" });
addEventListener("unload", () => Deno.removeSync(directory, { recursive: true }));

for (const [dataBytes, perCall] of [[256, 1], [8_240, 1], [8_240, 16]] as const) {
  const data = Uint8Array.from({ length: dataBytes }, (_, i) => i * 17);
  const path = `${directory}/${dataBytes}-${perCall}`;
  const store = await ShardStore.open(denoFileSystem(), path, {
    shard: 0,
    replica: 1,
    configuration,
  });
  await store.persist({ term: 1, vote: 1, commit: 0 }, []);
  Deno.bench(`persist ${perCall} × ${dataBytes} bytes, one call at a time`, async () => {
    const first = store.lastIndex() + 1;
    const entries = Array.from({ length: perCall }, (_, i): Entry => {
      return { index: first + i, term: 1, kind: 0, data };
    });
    await store.persist(undefined, entries);
  });
}
