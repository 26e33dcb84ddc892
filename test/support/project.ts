// A user's project with the package installed: the files that npm packs of it, in a folder that has nothing else of ours.
import { cpSync, mkdirSync, mkdtempSync, realpathSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureBuilt } from '../../scripts/build.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Returns its folder, which the caller removes. */
export async function makeProject(): Promise<string> {
  await ensureBuilt()
  const project = realpathSync(mkdtempSync(join(tmpdir(), 'everwire-project-')))
  const installed = join(project, 'node_modules', 'everwire')
  mkdirSync(installed, { recursive: true })
  for (const name of ['dist', 'package.json'])
    cpSync(join(root, name), join(installed, name), { recursive: true })
  cpSync(join(root, 'test', 'package', 'package.json'), join(project, 'package.json'))
  // By this file Parcel finds the root of a project.
  writeFileSync(join(project, 'package-lock.json'), '{ "lockfileVersion": 3 }\n')
  return project
}
