import { assertEquals } from "@std/assert";
import { PublishWindow } from "./publish_window.ts";

/** A server that answers when told to. */
class HeldAnswers {
  readonly answers: PromiseWithResolvers<number>[] = [];
  publish = (): Promise<number> => {
    const answer = Promise.withResolvers<number>();
    this.answers.push(answer);
    return answer.promise;
  };
}

function isPending(promise: Promise<void>): Promise<boolean> {
  return Promise.race([promise.then(() => false), Promise.resolve().then(() => true)]);
}

const message = new Uint8Array(10);

Deno.test("PublishWindow.add() makes the caller wait when the window is full", async () => {
  const server = new HeldAnswers();
  const window = new PublishWindow(server.publish, { messagesMax: 4, bytesMax: 1_000 });
  for (let i = 0; i < 3; i++) assertEquals(window.add(message), undefined);
  const room = window.add(message)!;
  assertEquals(await isPending(room), true);
  server.answers[0]!.resolve(0);
  server.answers[1]!.resolve(1);
  await room;
  assertEquals(window.confirmed, 2);
});

Deno.test("PublishWindow.add() counts bytes as well", async () => {
  const server = new HeldAnswers();
  const window = new PublishWindow(server.publish, { messagesMax: 100, bytesMax: 20 });
  assertEquals(window.add(message), undefined);
  const room = window.add(message)!;
  for (const answer of server.answers) answer.resolve(0);
  await room;
  assertEquals(window.confirmedBytes, 20);
});

Deno.test("PublishWindow remembers the failure with the smallest number", async () => {
  const server = new HeldAnswers();
  const heard: number[] = [];
  const window = new PublishWindow(
    server.publish,
    { messagesMax: 100, bytesMax: 1_000 },
    (number) => heard.push(number),
  );
  for (let i = 0; i < 4; i++) window.add(message);
  const settled = window.settled();
  server.answers[2]!.reject(new Error("third"));
  server.answers[1]!.reject(new Error("second"));
  server.answers[3]!.resolve(3);
  server.answers[0]!.resolve(0);
  await settled;
  assertEquals([window.published, window.confirmed, window.failed], [4, 2, 2]);
  assertEquals((window.firstFailure?.error as Error).message, "second");
  assertEquals(heard.sort(), [1, 4]);
});
