/** A repository of RPM packages for a layer: Debian's packages, packed anew by rpmbuild(8) and indexed by createrepo_c(8). */
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fetchPackages, run } from "./packages.ts";
import type { RpmRecipe } from "./recipes.ts";

/** Nothing is stripped, searched for dependencies or compressed differently: what is packed is what Debian ships. */
const SPEC = ({ name, version, summary }: RpmRecipe, files: string) => `Name: ${name}
Version: ${version}
Release: 1
Summary: ${summary}
License: GPL-3.0-or-later
AutoReqProv: no
%global debug_package %{nil}
%global __os_install_post %{nil}
%global _build_id_links none
%description
${summary}.
%install
cp -a ${files}/. %{buildroot}/
%files
/*
`;

/**
 * Puts an rpm-md repository with `recipe`'s package at `directory`, which is made. `status` (dpkg's status file) is what
 * the layer and those below have; `work` is an empty directory.
 */
export function buildRepository(recipe: RpmRecipe, status: string, work: string, directory: string): void {
  mkdirSync(directory, { recursive: true });
  const files = join(work, "files");
  mkdirSync(files, { recursive: true });
  for (const deb of fetchPackages([recipe.from], status, work)) run("dpkg-deb", "-x", deb, files);
  rmSync(join(files, "usr/share"), { recursive: true, force: true });
  for (const [path, target] of Object.entries(recipe.links)) {
    mkdirSync(dirname(join(files, path)), { recursive: true });
    symlinkSync(target, join(files, path));
  }
  const spec = join(work, `${recipe.name}.spec`);
  writeFileSync(spec, SPEC(recipe, files));
  run("rpmbuild", "-bb", "--define", `_topdir ${work}`, "--define", `_rpmdir ${directory}`, spec);
  run("createrepo_c", "--quiet", directory);
}
