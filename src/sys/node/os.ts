/**
 * `node:os` as the executable has it (`scripts/build.ts` puts this file in its place): the runtime's own, loaded when it is
 * first asked for something that the environment does not say.
 */
const runtimes = () => process.getBuiltinModule("node:os");

export const homedir = (): string => process.env.HOME || runtimes().homedir();
export const networkInterfaces = () => runtimes().networkInterfaces();
export const tmpdir = () => runtimes().tmpdir();
export const release = () => runtimes().release();
