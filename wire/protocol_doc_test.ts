import { assert, assertEquals } from "@std/assert";
import { PushType, ReplyType, RequestType } from "./client_messages.ts";
import { CommandKindCode } from "./command_header.ts";
import { endsConnection, ErrorCode, isRetryable } from "./error_codes.ts";

const text = Deno.readTextFileSync(new URL("../docs/PROTOCOL.md", import.meta.url));

/** The cells of all table rows of the document. */
const rows = text.split("\n").filter((line) => line.startsWith("|")).map((line) =>
  line.split("|").slice(1, -1).map((cell) => cell.trim())
);

Deno.test("docs/PROTOCOL.md lists every error code with its number and what it means for a request", () => {
  for (const [name, code] of Object.entries(ErrorCode)) {
    const row = rows.find((cells) => cells[1] === name);
    assert(row !== undefined, `${name} is missing`);
    assertEquals(row![0], String(code), name);
    assertEquals(row![3] === "yes", isRetryable(code), name);
    assertEquals(row![2]!.includes("closes the connection"), endsConnection(code), name);
  }
});

Deno.test("docs/PROTOCOL.md lists every frame type with its number", () => {
  for (const [name, type] of [...Object.entries(RequestType), ...Object.entries(PushType)]) {
    assert(rows.some(([first, second]) => first === name && second === String(type)), name);
  }
  for (const [name, type] of Object.entries(ReplyType)) {
    assert(
      text.includes(`${name} ${type}`) || text.includes(`\`${name}\` (${type})`) ||
        rows.some((cells) =>
          cells.some((cell, i) => cell === name && cells[i + 1] === String(type))
        ),
      name,
    );
  }
});

Deno.test("docs/PROTOCOL.md lists every command with its number", () => {
  for (const [name, code] of Object.entries(CommandKindCode)) {
    if (name === "publish" || name === "settle") {
      assert(text.includes(`u8  ${code} (${name})`), name);
    } else {
      assert(rows.some(([first, second]) => first === String(code) && second === name), name);
    }
  }
});
