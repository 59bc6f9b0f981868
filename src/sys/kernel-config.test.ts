import { expect, test } from "bun:test";
import { mayHave } from "./kernel-config.ts";

const CONFIGURATION = `# Linux/x86 6.18.0 Kernel Configuration
CONFIG_IA32_EMULATION=y
CONFIG_TUN=m
# CONFIG_X86_X32_ABI is not set
CONFIG_LOCALVERSION=""
`;

test("what is built in or a module is there, what is not set or not named is not", () => {
  for (const option of ["CONFIG_IA32_EMULATION", "CONFIG_TUN"])
    expect(mayHave(option, CONFIGURATION)).toBe(true);
  for (const option of ["CONFIG_X86_X32_ABI", "CONFIG_IA32", "IA32_EMULATION", "CONFIG_LOCALVERSION"])
    expect(mayHave(option, CONFIGURATION)).toBe(false);
});

test("of the kernel that runs this, network namespaces are not denied", () => {
  expect(mayHave("CONFIG_NET_NS")).toBe(true);
});
