import { assertEquals, assertThrows } from "@std/assert";
import { flagName, parseArguments, usageLine, variableName } from "./arguments.ts";
import { UsageError } from "./failures.ts";
import {
  addressFlag,
  choiceFlag,
  clusterFlag,
  durationFlag,
  headersFlag,
  integerFlag,
  serversFlag,
  sizeFlag,
  switchFlag,
  textFlag,
  toggleFlag,
} from "./flags.ts";

const help = "For the test.";
const table = {
  name: "test",
  positionals: [{ name: "QUEUE", help }, { name: "BODY", help, optional: true }],
  flags: {
    key: textFlag({ help }),
    header: headersFlag({ short: "H", help }),
    server: serversFlag({ short: "s", help, default: "127.0.0.1:7400" }),
    timeout: durationFlag({ help, default: "10s", minimumMs: 1 }),
    whole: switchFlag({ help }),
    noWait: switchFlag({ help }),
    loud: toggleFlag({ help }),
    count: integerFlag({ help, minimum: 1 }),
    messageBytesMax: sizeFlag({ help, default: "1MiB", minimum: 1, maximum: 1 << 24 }),
    listen: addressFlag({ help, default: "127.0.0.1:7400", allowPortZero: true }),
    cluster: clusterFlag({ help }),
    logFormat: choiceFlag(["text", "json"], { help, default: "text" }),
  },
} as const;

function parse(words: readonly string[], variables: Record<string, string> = {}) {
  return parseArguments(words, table, (name) => variables[name]);
}

function refusal(words: readonly string[], variables: Record<string, string> = {}): string {
  const error = assertThrows(() => parse(words, variables), UsageError);
  assertEquals(error.message.includes("\n"), false);
  return error.message;
}

Deno.test("parseArguments() gives every flag its default where nothing is said", () => {
  const { flags, positionals, given } = parse(["mail"]);
  assertEquals(positionals, ["mail"]);
  assertEquals(given.size, 0);
  assertEquals(flags.key, undefined);
  assertEquals(flags.header, []);
  assertEquals(flags.server, ["127.0.0.1:7400"]);
  assertEquals(flags.timeout, 10_000);
  assertEquals(flags.whole, false);
  assertEquals(flags.messageBytesMax, 1 << 20);
});

Deno.test("parseArguments() tells a flag that is off from one that is not given", () => {
  const loud = (...words: string[]) => parse(["mail", ...words]).flags.loud;
  assertEquals([loud(), loud("--loud"), loud("--no-loud")], [undefined, true, false]);
  assertEquals([loud("--loud=no"), loud("--loud", "--no-loud")], [false, false]);
  assertEquals(parse(["mail"], { FLOWMQ_LOUD: "off" }).flags.loud, false);
  assertEquals(parse(["--no-loud", "mail", "hi"]).positionals, ["mail", "hi"]);
  assertEquals([loud("--no-loud=yes"), loud("--no-loud=no")], [false, true]);
  assertEquals(refusal(["mail", "--loud=very"]).includes("it is on or off"), true);
});

Deno.test("parseArguments() reads long and short flags in every spelling", () => {
  for (
    const words of [
      ["mail", "--server", "a:1,b:2", "--header", "n:1", "-H", "m: 2"],
      ["--server=a:1,b:2", "mail", "--header=n:1", "-Hm: 2"],
      ["-s", "a:1,b:2", "-Hn:1", "--header", "m: 2", "mail"],
      ["-sa:1,b:2", "-H", "n:1", "-H=m: 2", "mail"].map((w) => w.replace("-H=", "-H")),
    ]
  ) {
    const { flags, positionals } = parse(words);
    assertEquals(positionals, ["mail"]);
    assertEquals(flags.server, ["a:1", "b:2"]);
    assertEquals(flags.header, [["n", "1"], ["m", "2"]]);
  }
});

Deno.test("parseArguments() never takes the word behind a switch for its value", () => {
  assertEquals(parse(["--whole", "true"]).positionals, ["true"]);
  assertEquals(parse(["--whole", "mail", "false"]).positionals, ["mail", "false"]);
  assertEquals(parse(["--whole=false", "mail"]).flags.whole, false);
});

Deno.test("parseArguments() knows switches whose name begins with no", () => {
  for (const words of [["--no-wait", "mail"], ["mail", "--no-wait"], ["mail", "--no-wait=yes"]]) {
    const { flags, positionals } = parse(words);
    assertEquals([flags.noWait, flags.whole, positionals], [true, false, ["mail"]]);
  }
  assertEquals(parse(["mail", "--no-wait=no"]).flags.noWait, false);
  assertEquals(refusal(["mail", "--no-whole"]).startsWith("unknown flag --no-whole"), true);
});

Deno.test("parseArguments() leaves numbers and empty texts among the positionals as they are", () => {
  assertEquals(parse(["007", "1e3"]).positionals, ["007", "1e3"]);
  assertEquals(parse(["mail", ""]).positionals, ["mail", ""]);
});

Deno.test("parseArguments() takes everything behind -- as text", () => {
  assertEquals(parse(["mail", "--", "--whole"]).positionals, ["mail", "--whole"]);
  assertEquals(parse(["--whole", "--", "mail", "-5"]).flags.whole, true);
});

Deno.test("parseArguments() takes a value that starts with a dash behind an equals sign", () => {
  assertEquals(parse(["mail", "--key=-1"]).flags.key, "-1");
  assertEquals(refusal(["mail", "--key", "-1"]).startsWith("--key needs a value"), true);
});

Deno.test("parseArguments() takes a value from the environment unless a flag is given", () => {
  const variables = { FLOWMQ_MESSAGE_BYTES_MAX: "2KiB", FLOWMQ_WHOLE: "yes", FLOWMQ_KEY: "" };
  const read = parse(["mail"], variables);
  assertEquals(read.flags.messageBytesMax, 2_048);
  assertEquals(read.flags.whole, true);
  assertEquals(read.flags.key, undefined);
  assertEquals([...read.given].sort(), ["messageBytesMax", "whole"]);
  assertEquals(
    parse(["mail", "--message-bytes-max=3KiB"], variables).flags.messageBytesMax,
    3_072,
  );
});

Deno.test("parseArguments() says what is wrong, with which value, and what to do", () => {
  assertEquals(
    refusal(["mail", "--lisen", "a:1"]),
    "unknown flag --lisen; did you mean --listen? " +
      "(see flowmq test --help; write -- before text that starts with a dash)",
  );
  assertEquals(refusal(["--zebra"]), "unknown flag --zebra (see flowmq test --help)");
  assertEquals(
    refusal([]),
    "QUEUE is missing: flowmq test QUEUE [BODY] [flags] (see flowmq test --help)",
  );
  assertEquals(
    refusal(["a", "b", "c"]),
    'unexpected argument "c": flowmq test QUEUE [BODY] [flags] (see flowmq test --help)',
  );
  assertEquals(
    refusal(["mail", "--count", "0"]),
    'cannot use --count "0": it takes a whole number of 1 or more',
  );
  assertEquals(
    refusal(["mail", "--log-format=xml"]),
    'cannot use --log-format "xml": it takes text or json',
  );
  assertEquals(
    refusal(["mail"], { FLOWMQ_TIMEOUT: "10" }),
    'cannot use the variable FLOWMQ_TIMEOUT "10": ' +
      "it takes a duration with its unit, such as 500ms, 10s or 2m",
  );
  assertEquals(
    refusal(["mail", "--whole=maybe"]),
    'cannot use --whole "maybe": it is on or off: true or false',
  );
  assertEquals(
    refusal(["mail", "--listen", "localhost"]),
    'cannot use --listen "localhost": "localhost" is not an address: the port is missing',
  );
});

Deno.test("parseArguments() reads a cluster and refuses one that contradicts itself", () => {
  assertEquals(parse(["mail", "--cluster", "2=b:2,1=[::1]:1"]).flags.cluster, [
    { id: 1, peerAddress: { hostname: "::1", port: 1 } },
    { id: 2, peerAddress: { hostname: "b", port: 2 } },
  ]);
  for (const wrong of ["1=a:1,1=b:2", "1=a:1,2=a:1", "1=a:0", "0=a:1", "a:1", "1=a:1,"]) {
    refusal(["mail", `--cluster=${wrong}`]);
  }
});

Deno.test("flagName() and variableName() spell a key the way people expect", () => {
  assertEquals(flagName("messageBytesMax"), "--message-bytes-max");
  assertEquals(variableName("messageBytesMax"), "FLOWMQ_MESSAGE_BYTES_MAX");
  assertEquals(usageLine(table), "flowmq test QUEUE [BODY] [flags]");
});
