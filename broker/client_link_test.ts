import { assertEquals } from "@std/assert";
import { type ClientLink, SessionBindings } from "./client_link.ts";

function link(name: string): ClientLink {
  const drained = () => Promise.resolve();
  return { name, relayed: false, closed: false, waitingBytes: 0, drained, send() {}, close() {} };
}

Deno.test("SessionBindings.bind() moves a session to the newest link", () => {
  const bindings = new SessionBindings();
  const [a, b] = [link("a"), link("b")];
  bindings.bind(1, a, 7);
  bindings.bind(2, a, 7);
  assertEquals(bindings.bind(1, b, 9), a);
  assertEquals(bindings.bind(1, b, 10), undefined);
  assertEquals(bindings.link(1), b);
  assertEquals(bindings.link(2), a);
  assertEquals(bindings.size, 2);
});

Deno.test("SessionBindings.releaseLink() gives up only what the link still serves", () => {
  const bindings = new SessionBindings();
  const [a, b] = [link("a"), link("b")];
  bindings.bind(1, a, 7);
  bindings.bind(2, a, 7);
  bindings.bind(1, b, 7);
  assertEquals(bindings.releaseLink(a), [{ sessionId: 2, attachIndex: 7 }]);
  assertEquals(bindings.link(1), b);
  assertEquals(bindings.link(2), undefined);
  assertEquals(bindings.releaseLink(a), []);
});

Deno.test("SessionBindings.clear() names every session with its link", () => {
  const bindings = new SessionBindings();
  const [a, b] = [link("a"), link("b")];
  bindings.bind(1, a, 7);
  bindings.bind(2, b, 7);
  bindings.release(2);
  assertEquals(bindings.clear(), [[1, a]]);
  assertEquals(bindings.size, 0);
});
