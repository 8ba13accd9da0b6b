import { crc32c, crc32cRange } from "./crc32c.ts";

for (const size of [28, 48, 64, 256, 8192, 65_536]) {
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
