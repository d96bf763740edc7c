import { Script } from 'node:vm'
import * as host from '../../src/host/index.js'
import * as http from '../../src/http/index.js'
import * as main from '../../src/index.js'
import * as metrics from '../../src/metrics/index.js'
import * as netKeepalive from '../../src/net-keepalive.js'
import * as path from '../../src/path/index.js'
import * as testing from '../../src/testing/index.js'
import * as undici from '../../src/undici/index.js'

/** What can be imported by name. A name of several modules means the first. */
export const exportsOf: Readonly<Record<string, readonly string[]>> = {
  deadpeer: Object.keys(main),
  'deadpeer/host': Object.keys(host),
  'deadpeer/http': Object.keys(http),
  'deadpeer/undici': Object.keys(undici),
  'deadpeer/plan': Object.keys(path),
  'deadpeer/metrics': Object.keys(metrics),
  'deadpeer/testing': Object.keys(testing),
  'deadpeer/net-keepalive': Object.keys(netKeepalive),
}

/** The types of the variables that the pages use in code spans. */
const variables: Readonly<Record<string, string>> = {
  socket: "import('node:net').Socket",
  server: "import('node:net').Server",
  agent: "import('deadpeer/http').HttpAgent",
  httpAgent: "import('deadpeer/http').HttpAgent",
  death: "import('deadpeer').Death",
  list: "Awaited<ReturnType<typeof import('deadpeer/host').listSockets>>",
  profile: "import('deadpeer').Profile",
  record: "import('deadpeer/host').SocketRecord",
  snapshot: "import('deadpeer/http').HttpAgent['snapshot']",
  stats: "import('deadpeer').Watcher['stats']",
  watcher: "import('deadpeer').Watcher",
}

const modules = ['http', 'https', 'net', 'tls']
const languageWords = ['as', 'await', 'false', 'for', 'import', 'new', 'null', 'true', 'typeof', 'undefined']
const files = /\.(?:c?js|cc|d\.ts|h|json|jsonl|md|mjs|node|so|svg|ts)\b/
const sysctls = /^net\.(?:core|ipv4|ipv6|netfilter)\./

/** Whether a code span is an expression with a call or a property, and not a file or a kernel setting. */
export function isExpression(code: string): boolean {
  if (files.test(code.replace(/'[^']*'/g, '')) || sysctls.test(code) || /=>|\s->/.test(code)) return false
  return /^(?:(?:await|new) )*[A-Za-z_$][\w$]*(?:\.\w|\()/.test(code) && parses(expressionOf(code))
}

const expressionOf = (code: string) => code.replaceAll('…', 'omitted')

/** After an error of syntax the compiler would not report what does not exist. */
function parses(expression: string): boolean {
  try {
    new Script(`async () => (${expression})`)
    return true
  } catch {
    return false
  }
}

/** A module that has the span as an expression; a property of an error class as that of an error. What the pages do not say, such as a library's variable, is `any`. */
export function moduleOf(code: string): string {
  const [, error, member] = /^(\w+Error)\.(\w+)$/.exec(code) ?? []
  const expression = error ? `(omitted as ${error}).${member}` : expressionOf(code)
  const names = new Set(
    [
      ...expression
        .replace(/'[^']*'/g, "''")
        .matchAll(/(?<![\w$]|(?<!\.)\.)([A-Za-z_$][\w$]*)(?![\w$]|\s*:)/g),
    ].map(([, name]) => name!),
  )
  const lines = [...names].flatMap((name) => {
    if (languageWords.includes(name) || name in globalThis) return []
    if (modules.includes(name)) return [`import ${name} from 'node:${name}'`]
    if (name in variables) return [`declare const ${name}: ${variables[name]}`]
    const [module] = Object.entries(exportsOf).find(([, exported]) => exported.includes(name)) ?? []
    return [module ? `import { ${name} } from '${module}'` : `declare const ${name}: any`]
  })
  return `${lines.join('\n')}\nvoid (${expression})\nexport {}\n`
}

/** Whether the compiler says that a name does not exist. It may also complain of arguments that a span leaves out. */
export function isUnknownName(error: string): boolean {
  return /does not exist|[Dd]id you mean|no exported member|Cannot find name/.test(error)
}
