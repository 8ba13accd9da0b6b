import { crc32c, crc32cRange } from "./crc32c.ts";

for (const size of [20, 28, 48, 64, 256, 1536, 2048, 8192, 65_536]) {
  const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 31) & 255);
  const rounds = Math.max(1, Math.floor(1_048_576 / size));
  Deno.bench(`crc32c: 1 MiB in pieces of ${size} bytes`, { group: `${size}` }, () => {
    for (let i = 0; i < rounds; i++) crc32c(bytes);
  });
  const larger = new Uint8Array(size + 64);
  larger.set(bytes, 32);
  Deno.bench(`crc32cRange: 1 MiB in pieces of ${size} bytes`, { group: `${size}` }, () => {
    for (let i = 0; i < rounds; i++) crc32cRange(larger, 32, 32 + size);
  });
}

// As in production, where the bytes have just come from a socket: pieces that no cache holds.
const cold = new Uint8Array(64 << 20);
for (let i = 0; i < cold.length; i += 65_536) crypto.getRandomValues(cold.subarray(i, i + 65_536));
for (const size of [20, 256, 8192, 65_536]) {
  const stride = Math.max(size, 4096);
  const rounds = Math.max(1, Math.floor(1_048_576 / stride));
  let at = 0;
  Deno.bench(
    `crc32cRange: ${rounds} pieces of ${size} bytes, cold`,
    { group: `${size} cold` },
    () => {
      for (let i = 0; i < rounds; i++) {
        crc32cRange(cold, at, at + size);
        at = (at + stride) % cold.length;
      }
    },
  );
}
