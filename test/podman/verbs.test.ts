/** Verbs on containers besides those of every day: pause unpause rename init, and --filter, --cidfile, --depend of the others. */
import { openPairs, pairs, refused } from "./pairs.ts";

const callers = openPairs(["root", "user"], "busybox");
const table = (...cases: Parameters<typeof pairs>[1]) => pairs(callers, cases);
/** An ordinary user has no freezer on this kind of machine, and is told so. */
const atRoots = (...cases: Parameters<typeof pairs>[1]) => pairs([callers[0]!], cases);

const RUN = (name: string) => `engine run -d --name ${name} --stop-signal KILL busybox sleep 1000 >/dev/null`;
const SLEEP = RUN("one");
/** Podman's own clean-up comes after `stop`, and would undo what is done to the container meanwhile. */
const CLEANED_UP = `id=$(engine inspect -f '{{.Id}}' one); while pgrep -f "conmon.*$id" >/dev/null; do sleep 0.1; done`;
const CREATE = "engine create --name one --stop-signal KILL busybox sleep 100 >/dev/null";

// Frozen.
atRoots(
  `${SLEEP}; engine pause one; engine ps -aq | wc -l; engine ps -q; engine ps -a --format '{{.Status}} {{.State}}'; engine ps -a --format json | grep -E '"(State|Status)'; engine inspect -f '{{.State.Status}} {{.State.Running}} {{.State.Paused}}' one; engine pause one; echo $?; engine unpause one; engine unpause one; engine ps --format '{{.Names}}'`,
  `${SLEEP}; engine pause one; engine stop -t 0 one; echo $?; engine exec one true; echo $?; engine start one; echo $?; engine restart -t 0 one; echo $?; engine restart -a; echo $?; engine stop -a; echo $?; engine rm one; echo $?; engine rm -f -t 0 one; echo $?; engine ps -aq`,
  `${SLEEP}; engine pause one; engine kill -s TERM one; engine inspect -f '{{.State.Status}}' one; engine kill one; engine wait one; engine ps -a --format '{{.Names}} {{.Status}}'`,
  `${SLEEP}; engine pause one; engine attach one; echo $?; engine wait --condition paused one; engine init one; engine rename one two; engine logs two; engine top two pid; engine ps -a --filter status=paused --format '{{.Names}}'; engine ps --filter status=running -q; engine info -f '{{.Store.ContainerStore.Paused}} {{.Store.ContainerStore.Running}} {{.Store.ContainerStore.Stopped}}'; engine unpause two`,
  "engine pause; engine pause nope; engine pause -a; engine unpause -a; engine pause -l; engine pause -a x; engine unpause; engine unpause nope; engine pause --bogus; engine pause --cidfile nope",
  "engine create --name one busybox true; engine pause one; echo $?; engine unpause one; echo $?; engine pause -a; echo $?",
  `${SLEEP}; ${RUN("two")}; engine pause -a | wc -l; engine ps --filter status=paused -q | wc -l; engine unpause -a | wc -l; engine pause one two nope; echo $?; engine pause one two; engine ps -a --format '{{.Names}} {{.State}}'`,
  `${SLEEP}; engine inspect -f '{{.Id}}' one >f; engine pause --cidfile f; engine unpause -f name=one; engine pause -l; engine unpause -l; engine container pause one; engine container unpause one`,
);
pairs(
  [callers[1]!],
  [
    `${SLEEP}; engine pause one; engine unpause one; engine pause -a; engine unpause -a; engine pause nope; engine ps --format '{{.Names}} {{.State}}'`,
  ],
);

// Another name.
table(
  "engine create --name one busybox true >/dev/null; engine rename one two; echo $?; engine ps -a --format '{{.Names}}'; engine create --name three busybox true>/dev/null; engine rename two three; echo $?; engine rename two 'a b'; echo $?; engine rename nope x; echo $?; engine rename one; echo $?; engine rename; engine rename two two2 x",
  `${SLEEP}; engine rename one two; engine ps --format '{{.Names}}'; engine exec two hostname; engine inspect -f '{{.Name}}' two; engine stop -t 0 two; engine container rename two one; engine start one; engine create --name two busybox | wc -l`,
);

// Made, and not begun.
table(
  `${CREATE}; engine init one; echo $?; engine ps -q; engine ps -a --format '{{.Names}} {{.State}} {{.Status}}'; engine inspect -f '{{.State.Status}} {{.State.Running}}' one; engine init one; echo $?; engine start one; engine ps --format '{{.Names}}'; engine exec one echo hi; engine init one; echo $?`,
  `${CREATE}; engine init one; engine rm one; echo $?; engine init; engine init nope; engine init -a; engine init -l; engine container init one; engine ps -aq`,
  `${CREATE}; engine init one; engine stop -t 0 one; echo $?; ${CLEANED_UP}; engine ps -a --format '{{.Names}} {{.Status}}'; engine init one; engine kill one; echo $?; engine exec one true; echo $?; engine start -a one; engine restart -t 0 one; engine ps --format '{{.Names}}'`.replace(
    "engine start -a one; ",
    "",
  ),
  "engine create --name one busybox echo hi >/dev/null; engine init one; engine start -a one; engine logs one; engine init -a | wc -l; engine ps -a --filter status=initialized --format '{{.Names}}'; engine rm -f one",
);

// Waiting.
table(
  `${CREATE}; for one in created stopped exited; do engine wait --condition $one one; done; for one in configured stopping bogus; do engine wait --condition $one one; done; engine init one; engine wait --condition initialized one; engine start one; engine wait --condition running,paused one; engine wait --condition running one -i 10ms`,
);

// --filter, --cidfile, --depend.
table(
  `${SLEEP}; engine create --name two busybox sleep 1 >/dev/null; engine stop -f name=one -t 0; echo $?; engine stop -f name=one nope; echo $?; engine start --filter name=one; echo $?; engine restart -t 0 -f name=one; engine rm -f -t 0 --filter name=one; engine rm --filter name=nope; echo $?; engine start --filter name=two --all; engine stop --filter name=nope; echo $?; engine start --filter name=nope; echo $?; engine ps -a --format '{{.Names}}'`,
  "engine start --filter bogus=1; engine stop --filter bogus=1; engine rm --filter bogus=1; engine restart -f bogus=1",
  refused("engine stop --filter bogus", /invalid filter "bogus"/),
  `${SLEEP}; engine kill --cidfile nope; engine restart --cidfile nope; engine stop --cidfile nope; engine inspect -f '{{.Id}}' one >f; engine restart -t 0 --cidfile f; engine kill --cidfile f; engine rm -f --cidfile f`,
  `${SLEEP}; engine run -d --name two --network container:one busybox sleep 1000 >/dev/null; engine rm -f -t 0 one; echo $?; engine rm -f -t 0 --depend one | wc -l; engine ps -aq`,
  "engine start -a; engine start --all; engine start --all x; engine kill -a; engine rm --all; engine stop --all; engine unpause --help | head -1 | wc -l",
);
