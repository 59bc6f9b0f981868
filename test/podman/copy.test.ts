/** cp: both ways, between containers, as streams; links, owners, volumes, and what is refused. */
import { expect, test } from "bun:test";
import { openPairs, pairs, refused } from "./pairs.ts";

const callers = openPairs(["root", "user"], "busybox");
const table = (...cases: Parameters<typeof pairs>[1]) => pairs(callers, cases);

const run = (command: string, flags = "") =>
  `engine run -d --network none --name one ${flags} busybox sh -c 'echo ready; ${command || ":"}; sleep 1000' >/dev/null; ready one`;
/** Made, and not running. */
const IDLE = "engine create --name one busybox true >/dev/null";
/** A file `f`, a directory `d` with a file and a link in it. */
const FILES = "echo hi >f; mkdir d; echo a >d/a; ln -s a d/l";
/** What `tar` has, as it lists it, directories with and without a slash. */
const LIST = "tar t | sed 's,/$,,'";

// Whither.
table(
  `${run("")}; ${FILES}; engine cp f one:/tmp/; engine exec one ls -ln /tmp | awk '{print $1,$3,$4,$5,$9}'; engine cp d one:/tmp/; engine exec one find /tmp | sort; engine cp d/. one:/tmp/e; engine cp d one:/tmp/e; engine exec one find /tmp/e | sort`,
  `${run("mkdir -p /tmp/e/d; echo x >/tmp/e/d/a; ln -s a /tmp/e/l")}; engine cp one:/tmp/e out; find out | sort; engine cp one:/tmp/e out; engine cp one:/tmp/e/. out; find out | sort; engine cp one:/etc/passwd p; wc -l p; engine cp one:tmp/e/d/a .; engine cp one:./etc/group g; ls; cat a`,
  `${run("")}; ${FILES}; engine cp one:/nope .; echo $?; engine cp nope one:/tmp; echo $?; engine cp f nope:/tmp; echo $?; engine cp f one:/nope/; echo $?; engine cp f one:/nope/x; echo $?; engine cp d one:/etc/passwd; echo $?; engine cp one:/etc f; echo $?; engine cp one:/etc nope/; echo $?; engine cp one:/etc/passwd nope/x; echo $?; engine cp f zz:b; engine cp f ./zz:b; echo $?`,
  "engine cp f; engine cp; engine cp f g; engine cp one: x; engine cp f one:; engine cp - -; engine cp - f; engine cp a b c; engine cp --bogus a b",
  refused(
    `${IDLE}; echo hi >f; engine cp f one:/etc/passwd/`,
    /exists but is not a directory|podman: Error[\s\S]*broken pipe/,
  ),
  {
    script: `${run("mkdir /tmp/f")}; echo hi >f; mkdir root; engine cp f one:/root/; engine cp f one:/tmp; echo $?; engine cp --overwrite f one:/tmp; echo $?; engine exec one ls -l /tmp | cut -c1; engine cp f one:/root; engine cp root one:/; engine exec one ls /root; engine cp one:/dev/null n; echo $?; ls`,
    says: /error creating "\/tmp\/f"[\s\S]*copier: get: copied no items/,
  },
);

// Containers that don't run; between containers.
table(
  `${IDLE}; echo hi >f; engine cp f one:/root/new; engine cp one:/root/new back; cat back; engine create --name two busybox >/dev/null; engine cp one:/root two:/; engine cp two:/root/ r; find r | sort; engine cp one:/root/new two:/made; engine cp two:/made - | tar xO; engine cp one:/nope two:/; engine cp one:/etc two:/nope/x; engine ps -a --format '{{.Names}} {{.Status}}'`,
  `${run("echo x >/x")}; engine create --name two busybox true >/dev/null; engine cp one:/x two:/tmp/y; engine cp two:/tmp/y one:/tmp; engine exec one cat /tmp/y; engine start two; engine wait two; engine cp two:/tmp/y -| tar xO`,
  `engine run -d --network none --name one -v vol:/v -v "$PWD":/b --tmpfs /t busybox sleep 1000 >/dev/null; echo hi >f; engine cp f one:/v/; engine cp f one:/t/; engine cp f one:/b/g; ls; engine exec one ls /v /t; engine stop -t 0 one >/dev/null; engine cp one:/v/f x; cat x; engine cp f one:/v/h; engine cp f one:/b/i; ls; engine cp f one:/t/k; engine start one; engine exec one ls /v /t /b`,
  `engine create --name one -v vol:/root -v new:/made/here busybox true >/dev/null; echo hi >f; engine cp f one:/root/; engine cp f one:/made/here; engine run --rm -v vol:/x busybox ls /x; engine run --rm -v new:/x busybox ls /x`,
);

// Streams.
table(
  `${run("")}; tar cf t.tar -C / etc/hostname; engine cp - one:/tmp <t.tar; engine exec one find /tmp; engine cp - one:/nope <t.tar; echo $?; engine cp - one:/etc/passwd <t.tar; echo $?; gzip t.tar; engine cp - one:/root <t.tar.gz; engine exec one find /root; engine cp one:/etc/group - | tar t; engine cp one:/root/. - | ${LIST}; engine cp one:/root - | ${LIST}; engine cp one:/root/ - | ${LIST}`,
  refused(
    `${IDLE}; echo bogus | engine cp - one:/tmp`,
    /source must be a \(compressed\) tar archive when copying from stdin/,
  ),
  `${IDLE}; head -c 30000000 /dev/zero >big; engine cp big one:/root/; engine cp one:/root/big - | tar xO | wc -c; engine cp one:/root/big small; cmp big small && rm big small;`,
  `${IDLE}; long=$(printf 'x%.0s' $(seq 200)); mkdir $long; echo hi >$long/$long; echo u >ü; engine cp $long one:/tmp/; engine cp ü one:/tmp; engine cp one:/tmp back; find back | sort; cat back/$long/$long`,
);

// Links lead on, but not out.
table(
  `${run("mkdir -p /real/in; ln -s /real /abs; ln -s real /rel; ln -s ../../../../etc/passwd /esc; ln -s /nope /dangling; echo x >/real/file; ln -s file /real/lf")}; echo hi >f; engine cp f one:/abs; engine cp f one:/rel/g; engine exec one find /real | sort; engine cp one:/abs x; find x | sort; engine cp one:/esc h; wc -l h; engine cp one:/rel/. y; find y | sort; engine cp one:/abs/lf z; cat z; engine cp one:/abs/ w; find w | sort; mkdir dd; engine cp one:/abs dd; find dd | sort; engine cp f one:/dangling; engine exec one ls /nope`,
  `${run("")}; echo f >f; ln -s f hl; mkdir hd dd; ln -s hd hdl; ln -s dd ddl; engine cp hl one:/tmp/; engine cp hdl one:/tmp/; engine exec one ls -l /tmp | cut -c1; engine exec one ls /tmp; engine cp one:/etc/passwd ddl; ls dd; engine cp one:/etc/passwd hl; wc -l f`,
  {
    // A container turns a link, which an earlier copy brought, into a directory.
    script: `${run("mkdir /tmp/d; echo x >/tmp/d/x; ln -s /tmp/out-of-here /tmp/l")}; mkdir out; mkdir -p /tmp/out-of-here; engine cp one:/tmp/. out; engine exec one sh -c 'rm /tmp/l; mkdir /tmp/l; echo evil >/tmp/l/evil'; engine cp one:/tmp/. out; echo $?; ls /tmp/out-of-here; find out | sort`,
    says: /copier: put: error creating/,
  },
);

// Whose, and what else a file has.
table(
  `mkdir sub; echo x >sub/h1; ln sub/h1 sub/h2; mkfifo sub/p; chmod 711 sub; chmod 4750 sub/h1; touch -d @1000000000 sub sub/h1; ${run("", "-u nobody")}; engine cp sub one:/tmp; engine exec one stat -c '%n %h %u %g %a' /tmp/sub /tmp/sub/h1 /tmp/sub/h2 /tmp/sub/p; engine exec one stat -c %Y /tmp/sub /tmp/sub/h1; engine cp -a=false sub/h1 one:/tmp/3; engine cp --archive=false sub one:/tmp/4; engine exec one stat -c '%u %g %a' /tmp/3 /tmp/4 /tmp/4/h2; engine exec -u 7 one sh -c 'echo x >/tmp/5'; engine cp one:/tmp/5 a; engine cp -a=false one:/tmp/5 b; [ -O a ] && [ -O b ] && echo mine; engine cp one:/tmp/sub back; stat -c '%a %Y' back back/h1`,
);

// podman waits for itself there.
for (const { who, pair } of callers)
  test(`${who}: within one container, whether it runs or not`, async () => {
    const script = `${IDLE}; echo hi >f; engine cp f one:/root/a; engine cp one:/root/a one:/tmp/b; engine cp one:/tmp/b one:/root/; engine cp one:/root one:/tmp/r; engine cp one:/tmp/r - | tar t; engine rm one
${run("echo x >/x")}; engine cp one:/x one:/tmp; engine exec one cat /tmp/x`;
    const { code, stdout, stderr } = await pair().run("portolan", script);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "r/\nr/a\nr/b\none\nx\n", stderr: "" });
  });

// Debian's podman can't mount such a root here.
test("root: a container's own user namespace numbers the owners", async () => {
  const script = `engine create --name one --uidmap 0:1:1000 --uidmap 65534:1500:1 --gidmap 0:1:1000 --gidmap 65534:1500:1 -u nobody busybox stat -c '%n %u %g' /tmp/a /tmp/b >/dev/null
echo x >a; engine cp a one:/tmp; engine cp -a=false a one:/tmp/b; engine start -a one; engine cp one:/tmp/. - | tar tv --numeric-owner | awk '{print $2}'`;
  const { code, stdout, stderr } = await callers[0]!.pair().run("portolan", script);
  const told = "/tmp/a 65534 65534\n/tmp/b 0 0\n65534/65534\n0/0\n";
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: told, stderr: "" });
});

for (const { who, pair } of callers)
  test(`${who}: a copy that is killed leaves neither its helper nor a mount, and the container can go`, async () => {
    const script = `${IDLE}; mkfifo p; sleep 1000 >p & keeper=$!
portolan cp - one:/root <p & copy=$!
until pgrep -f "[_]_files" >/dev/null; do sleep 0.02; done
{ kill -9 $copy; wait $copy; } 2>/dev/null
while pgrep -f "[_]_files" >/dev/null; do sleep 0.02; done
kill $keeper; grep -c /merged /proc/self/mountinfo; engine rm one`;
    const { code, stdout, stderr } = await pair().run("portolan", script);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "0\none\n", stderr: "" });
  });
