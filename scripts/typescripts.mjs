// The versions of TypeScript whose users can use the package, as compilers that npm installs.
import { join } from 'node:path'
import { root } from './run.mjs'

/** Where each is: the oldest and the newest one are there in every test run. */
const places = {
  5.5: 'test/toolchains/node_modules/typescript55',
  5.6: 'test/versions/node_modules/typescript56',
  5.7: 'test/versions/node_modules/typescript57',
  5.8: 'test/versions/node_modules/typescript58',
  5.9: 'test/versions/node_modules/typescript59',
  '6.0': 'test/versions/node_modules/typescript60',
  '7.0': 'node_modules/typescript',
}
const versions = /** @type {(keyof typeof places)[]} */ (Object.keys(places).sort())
/** The first version that lets CommonJS import a module with `require`, as Node does. */
const requiresModules = '5.8'

/** The projects of `test/package`, each with its own `moduleResolution`. */
const projects = {
  browser: 'in a browser (bundler)',
  node: 'in Node (nodenext)',
  node16: 'in Node (node16)',
  bundler: 'in Node (bundler)',
  commonjs: 'in Node (nodenext, CommonJS)',
}

/**
 * @param {boolean} all every version; otherwise the oldest and the newest
 * @returns {{ name: string, compiler: string, args: string[] }[]} what is to be compiled, and how
 */
export function compilations(all) {
  const used = all ? versions : versions.filter((_, i) => i === 0 || i === versions.length - 1)
  return used.flatMap((version) =>
    Object.entries(projects)
      .filter(([project]) => project !== 'commonjs' || version >= requiresModules)
      .map(([project, where]) => ({
        name: `types ${where}, TypeScript ${version}`,
        compiler: join(root, places[version], 'bin', 'tsc'),
        args: ['-p', `tsconfig.${project}.json`, '--pretty', 'false'],
      })),
  )
}
