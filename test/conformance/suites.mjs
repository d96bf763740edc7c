// Lists the test files of other projects, and the command that runs one of them as the project itself does.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const nodeSuites = ['net', 'http', 'https', 'tls', 'http2']

/**
 * @typedef {object} TestFile
 * @property {string} suite
 * @property {string} name relative to the project's folder of tests
 * @property {string} cwd
 * @property {string[]} args Node's arguments
 * @property {Record<string, string>} env
 * @property {boolean} runsAlone the project itself runs no other file beside it
 * @property {boolean} usesHttp whether it can use Node's global agents
 */

/** Node's own tests of the modules named, from a folder with its source. @returns {TestFile[]} */
export function nodeTests(source, suites) {
  return ['parallel', 'sequential'].flatMap((folder) =>
    readdirSync(join(source, 'test', folder))
      .filter((name) => /^test-.*\.[mc]?js$/.test(name))
      .map((name) => ({ suite: /^test-([a-z0-9]+)-/.exec(name)?.[1], name: `${folder}/${name}` }))
      .filter(({ suite }) => suites.includes(suite))
      .map(({ suite, name }) => {
        const path = join(source, 'test', name)
        const text = readFileSync(path, 'utf8')
        return {
          suite,
          name,
          cwd: source,
          args: [...words(/\/\/\s+Flags:(.*)/.exec(text)), path],
          env: Object.fromEntries(words(/\/\/\s+Env:(.*)/.exec(text)).map((word) => word.split('='))),
          runsAlone: folder === 'sequential',
          usesHttp: /\bhttps?\b/.test(text),
        }
      }),
  )
}

const undiciFolders = [
  '',
  'cache',
  'cache-interceptor',
  'fetch',
  'interceptors',
  'node-fetch',
  'node-test',
  'websocket',
]

/** undici's tests from a clone in which `npm install` and `npm run generate-pem` have run. @returns {TestFile[]} */
export function undiciTests(clone) {
  return undiciFolders.flatMap((folder) =>
    readdirSync(join(clone, 'test', folder))
      .filter((name) => /\.js$/.test(name))
      .map((name) => ({
        suite: 'undici',
        name: join(folder, name),
        cwd: clone,
        args: ['--expose-gc', join('test', folder, name)],
        env: {},
        runsAlone: false,
        usesHttp: true,
      })),
  )
}

/** ws's tests from a clone in which `npm install` has run. @returns {TestFile[]} */
export function wsTests(clone) {
  return readdirSync(join(clone, 'test'))
    .filter((name) => name.endsWith('.test.js'))
    .map((name) => ({
      suite: 'ws',
      name,
      cwd: clone,
      args: ['node_modules/mocha/bin/mocha', '--throw-deprecation', join('test', name)],
      env: {},
      runsAlone: false,
      usesHttp: true,
    }))
}

/** @param {RegExpExecArray | null} match */
function words(match) {
  return match?.[1].split(/\s+/).filter((word) => word !== '') ?? []
}
