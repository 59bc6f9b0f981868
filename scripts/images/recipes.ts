/**
 * What each image consists of. Names, ports, volumes, stop signals and variables are those of the images of the same
 * name on Docker Hub, so that what is written about those images holds for these; the contents are Debian's.
 */

/** A file, directory (`text` undefined) or symbolic link of ours in a layer. */
export interface ImageFile {
  path: string;
  text?: string;
  /** Text of a file in `entrypoints/`. */
  from?: string;
  link?: string;
  mode?: number;
  /** uid and gid; root without. */
  owner?: number;
}

/** A Debian package to be installed as an RPM package, by zypper. */
export interface RpmRecipe {
  name: string;
  version: string;
  summary: string;
  /** Debian's package with the files. */
  from: string;
  /** Symbolic links of ours, by path. */
  links: Readonly<Record<string, string>>;
}

export interface LayerRecipe {
  name: string;
  packages: string[];
  /** Packages that count as installed: needed by maintainer scripts (which never run) or by features left out. */
  without?: string[];
  /** Accounts added to those of the layers below. */
  users?: { name: string; id: number; home: string }[];
  files?: ImageFile[];
  /** The package of the repository in `/srv/repository`. */
  repository?: RpmRecipe;
  /** Where this program's applets get links to it: busybox. */
  applets?: string;
}

export interface ImageRecipe {
  reference: string;
  layers: LayerRecipe[];
  /** The image's configuration as the OCI image specification names it. */
  config: Record<string, unknown>;
}

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const SCRIPTS = ["debconf", "perl", "perl-base", "adduser", "ucf", "sensible-utils", "init-system-helpers"];

const BASE: LayerRecipe = {
  name: "base",
  packages: [
    ...["base-files", "base-passwd", "bash", "coreutils", "dash", "debianutils", "findutils", "grep", "gzip"],
    ...["hostname", "libc-bin", "mawk", "ncurses-base", "sed", "tar", "util-linux"],
  ],
  without: [...SCRIPTS, "dpkg"],
  files: [
    { path: "/var/run", link: "/run" },
    { path: "/var/lock", link: "/run/lock" },
    { path: "/run/lock", mode: 0o1777 },
    { path: "/usr/bin/awk", link: "mawk" },
    { path: "/usr/bin/which", link: "which.debianutils" },
  ],
};

const NGINX: LayerRecipe = {
  name: "nginx",
  packages: ["nginx", "curl", "gettext-base"],
  without: ["iproute2"],
  files: [
    {
      path: "/etc/nginx/nginx.conf",
      text: `user www-data;
worker_processes auto;
pid /run/nginx.pid;
events {
  worker_connections 1024;
}
http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  access_log /var/log/nginx/access.log combined;
  error_log /var/log/nginx/error.log notice;
  sendfile on;
  include /etc/nginx/conf.d/*.conf;
}
`,
    },
    {
      path: "/etc/nginx/conf.d/default.conf",
      text: `server {
  listen 80;
  server_name localhost;
  location / {
    root /usr/share/nginx/html;
    index index.html;
  }
}
`,
    },
    {
      path: "/usr/share/nginx/html/index.html",
      text: `<!DOCTYPE html>
<html lang="en">
<head><title>Welcome to nginx!</title></head>
<body><h1>Welcome to nginx!</h1><p>This page comes from a container.</p></body>
</html>
`,
    },
    { path: "/var/log/nginx/access.log", link: "/dev/stdout" },
    { path: "/var/log/nginx/error.log", link: "/dev/stderr" },
    { path: "/docker-entrypoint.d", mode: 0o755 },
    { path: "/docker-entrypoint.sh", from: "nginx.sh", mode: 0o755 },
  ],
};

const POSTGRES: LayerRecipe = {
  name: "postgres",
  packages: ["postgresql-15"],
  without: ["postgresql-common", "postgresql-client-common", "ssl-cert", "locales", "libllvm14"],
  users: [{ name: "postgres", id: 999, home: "/var/lib/postgresql" }],
  files: [
    { path: "/var/lib/postgresql", mode: 0o755, owner: 999 },
    { path: "/var/lib/postgresql/data", mode: 0o700, owner: 999 },
    { path: "/run/postgresql", mode: 0o3777, owner: 999 },
    { path: "/docker-entrypoint-initdb.d", mode: 0o755 },
    { path: "/usr/local/bin/docker-entrypoint.sh", from: "postgres.sh", mode: 0o755 },
  ],
};

const MARIADB: LayerRecipe = {
  name: "mariadb",
  packages: ["mariadb-server-core", "mariadb-client-core"],
  users: [{ name: "mysql", id: 999, home: "/var/lib/mysql" }],
  files: [
    { path: "/var/lib/mysql", mode: 0o755, owner: 999 },
    { path: "/run/mysqld", mode: 0o755, owner: 999 },
    { path: "/etc/mysql/my.cnf", link: "mariadb.cnf" },
    { path: "/docker-entrypoint-initdb.d", mode: 0o755 },
    {
      path: "/etc/mysql/conf.d/container.cnf",
      text: "[mariadbd]\nbind-address = *\nskip-name-resolve\n\n[client-server]\nsocket = /run/mysqld/mysqld.sock\n",
    },
    { path: "/usr/local/bin/docker-entrypoint.sh", from: "mariadb.sh", mode: 0o755 },
  ],
};

const SHELL: LayerRecipe = {
  name: "shell",
  packages: ["curl", "telnet", "iproute2", "iputils-ping"],
  files: [{ path: "/usr/bin/telnet", link: "inetutils-telnet" }],
};

/** Leap's package manager, the real one, and in place of the distribution's server a repository in a directory. */
const ZYPPER: LayerRecipe = {
  name: "zypper",
  packages: ["curl", "zypper", "rpm"],
  without: [...SCRIPTS, "dpkg", "debugedit", "gnupg", "udev"],
  files: [
    {
      path: "/etc/zypp/repos.d/repo-oss.repo",
      text: `[repo-oss]
name=Main Repository
enabled=1
autorefresh=1
baseurl=dir:///srv/repository
type=rpm-md
gpgcheck=0
`,
    },
  ],
  repository: {
    name: "telnet",
    version: "2.4",
    summary: "A client program for the telnet remote login protocol",
    from: "inetutils-telnet",
    links: { "/usr/bin/telnet": "inetutils-telnet" },
  },
};

const PROBE: LayerRecipe = {
  name: "probe",
  packages: ["curl", "iperf3", "iproute2", "iputils-ping", "socat"],
};

/** Images by short name. */
export const RECIPES: Readonly<Record<string, ImageRecipe>> = {
  busybox: {
    reference: "docker.io/library/busybox:latest",
    layers: [
      {
        name: "busybox",
        packages: ["busybox-static"],
        applets: "/bin/busybox",
        files: [
          {
            path: "/etc/passwd",
            text: "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
          },
          { path: "/etc/group", text: "root:x:0:\nnogroup:x:65534:\n" },
          { path: "/root", mode: 0o700 },
          { path: "/tmp", mode: 0o1777 },
        ],
      },
    ],
    config: { Env: [`PATH=${PATH}`], Cmd: ["sh"] },
  },
  nginx: {
    reference: "docker.io/library/nginx:latest",
    layers: [BASE, NGINX],
    config: {
      Env: [`PATH=${PATH}`],
      Entrypoint: ["/docker-entrypoint.sh"],
      Cmd: ["nginx", "-g", "daemon off;"],
      ExposedPorts: { "80/tcp": {} },
      StopSignal: "SIGQUIT",
    },
  },
  postgres: {
    reference: "docker.io/library/postgres:latest",
    layers: [BASE, POSTGRES],
    config: {
      Env: [
        `PATH=${PATH}:/usr/lib/postgresql/15/bin`,
        "LANG=C.UTF-8",
        "PG_MAJOR=15",
        "PGDATA=/var/lib/postgresql/data",
      ],
      Entrypoint: ["docker-entrypoint.sh"],
      Cmd: ["postgres"],
      ExposedPorts: { "5432/tcp": {} },
      Volumes: { "/var/lib/postgresql/data": {} },
      StopSignal: "SIGINT",
    },
  },
  mariadb: {
    reference: "docker.io/library/mariadb:latest",
    layers: [BASE, MARIADB],
    config: {
      Env: [`PATH=${PATH}`, "LANG=C.UTF-8"],
      Entrypoint: ["docker-entrypoint.sh"],
      Cmd: ["mariadbd"],
      ExposedPorts: { "3306/tcp": {} },
      Volumes: { "/var/lib/mysql": {} },
    },
  },
  /** A shell with the tools of the article's second container. */
  leap: {
    reference: "registry.opensuse.org/opensuse/leap:latest",
    layers: [BASE, SHELL],
    config: { Env: [`PATH=${PATH}`], Cmd: ["/bin/bash"] },
  },
  /** The article's second container as it is before `zypper in telnet`. */
  zypper: {
    reference: "registry.opensuse.org/opensuse/leap:latest",
    layers: [BASE, ZYPPER],
    config: { Env: [`PATH=${PATH}`], Cmd: ["/bin/bash"] },
  },
  /** What tests and benches look at a network with. */
  probe: {
    reference: "localhost/probe:latest",
    layers: [BASE, PROBE],
    config: { Env: [`PATH=${PATH}`], Cmd: ["/bin/bash"] },
  },
};
