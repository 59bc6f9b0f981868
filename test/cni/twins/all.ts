/** Every case. */
import type { Case } from "./case.ts";
import { ADDRESSES } from "./cases/addresses.ts";
import { BRIDGES } from "./cases/bridge.ts";
import { LINKS } from "./cases/links.ts";
import { REFUSALS } from "./cases/refusals.ts";
import { RULES } from "./cases/rules.ts";
import { SETTINGS } from "./cases/settings.ts";

export const CASES: readonly Case[] = [
  ...REFUSALS,
  ...ADDRESSES,
  ...BRIDGES,
  ...LINKS,
  ...RULES,
  ...SETTINGS,
];
