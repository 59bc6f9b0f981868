/** What the documentation prints is run, line by line. */

import { test } from "bun:test";
import { follow } from "./console.ts";
import { openHost, openUser } from "./world.ts";

test("docs/networks.md", async () => {
  await using host = await openHost("busybox");
  await follow(host, "docs/networks.md");
}, 60_000);

const AS_USER = /^(?=## An ordinary user)/m;

test("docs/explain.md, containers of root", async () => {
  await using host = await openHost("busybox");
  await follow(host, "docs/explain.md", { part: text => text.split(AS_USER)[0]! });
}, 60_000);

test("docs/explain.md, containers of an ordinary user", async () => {
  await using user = await openUser("busybox");
  await follow(user, "docs/explain.md", { part: text => text.split(AS_USER)[1]! });
}, 60_000);

test("docs/rootless.md, as an ordinary user", async () => {
  await using user = await openUser("nginx", "leap");
  await follow(user, "docs/rootless.md");
}, 60_000);

/** The page's sections for a user, and those for root. */
const AS_ROOT = /^(?=## Containers of root)/m;

test("docs/article.md, containers and pods of an ordinary user", async () => {
  await using user = await openUser("nginx", "mariadb", "zypper");
  await follow(user, "docs/article.md", { part: text => text.split(AS_ROOT)[0]! });
}, 90_000);

test("docs/article.md, containers of root", async () => {
  await using host = await openHost("nginx", "mariadb", "postgres");
  await follow(host, "docs/article.md", { prompt: "# ", part: text => text.split(AS_ROOT)[1]! });
}, 90_000);
