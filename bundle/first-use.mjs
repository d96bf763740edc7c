import { isBuiltin } from 'node:module'

/** An export for another file of the package. Only a variable needs a getter; for a value it is five times as long. */
const getter =
  /^Object\.defineProperty\(exports, "(\w+)", {\s+enumerable: true,\s+get: function \(\) {\s+return \1;\s+}\s+}\);$/gm

/**
 * A rolldown plugin for CommonJS output: a file loads other files and modules when it first uses them. Otherwise `import 'deadpeer'` would load
 * all of them.
 *
 * @param functions by entry point: the exported functions that load their file when they are called.
 */
export function loadAtFirstUse(functions) {
  return {
    name: 'load-at-first-use',
    renderChunk(code, { name }) {
      const { body } = this.parse(code)
      const loads = new Map()
      const edits = []
      for (const statement of body) {
        const { variable, call } = loadIn(statement) ?? {}
        if (!variable) continue
        if (call) loads.set(variable, call.arguments[0].value)
        edits.push({ ...statement, text: call ? loader(variable, call.arguments[0].value) : '' })
      }
      const uses = body.filter((statement) => !loadIn(statement)).flatMap((each) => usesIn(each, loads))
      for (const { variable, start, end } of uses) {
        const call = `load_${nameOf(variable)}()`
        // `new load_x().Class()` would be `(new load_x()).Class()`.
        edits.push({ start, end, text: code.startsWith('new ', start - 4) ? `(${call})` : call })
      }
      const text = apply(edits, code).replaceAll(getter, (all, exported) =>
        new RegExp(`^let ${exported}\\b`, 'm').test(code) ? all : `exports.${exported} = ${exported};`,
      )
      return (functions[name] ?? []).reduce(loadAtFirstCall, text)
    },
    generateBundle(_, bundle) {
      // rolldown's own file is only for the statements that were dropped.
      const [runtime] = Object.keys(bundle).filter((file) => file.endsWith('/rolldown-runtime.js'))
      if (runtime) delete bundle[runtime]
    },
  }
}

/**
 * What rolldown writes for an import: `const require_core = require("./core.js")`, and for a default import of a module of Node also
 * `node_net = require_rolldown_runtime.__toESM(node_net, 1)`. The latter is dropped: the default import is the module.
 */
function loadIn({ type, declarations: [{ id, init } = {}] = [], expression: { left, right } = {} }) {
  if (type === 'VariableDeclaration' && init?.callee?.name === 'require')
    return { variable: id.name, call: init }
  if (right?.callee?.property?.name === '__toESM') return { variable: left.name }
  return undefined
}

/** In an ES module that a bundler made, there is no `require` for the modules of Node. */
function loader(variable, specifier) {
  const call = `${isBuiltin(specifier) ? 'process.getBuiltinModule' : 'require'}(${JSON.stringify(specifier)})`
  const name = nameOf(variable)
  return `let loaded_${name};\nfunction load_${name}() {\n\treturn loaded_${name} ??= ${call};\n}`
}

function nameOf(variable) {
  return variable.replace(/^require_/, '')
}

/** Where a variable is used that had a module: `require_core` in `require_core.tune`, or `node_net.default` in `node_net.default.Socket`. */
function usesIn(node, loads, parent) {
  if (node.type === 'Identifier' && loads.has(node.name)) {
    if (parent.type !== 'MemberExpression') throw new Error(`${node.name} must only be used for its members.`)
    const isDefault = isBuiltin(loads.get(node.name)) && parent.property.name === 'default'
    const { start, end } = isDefault ? parent : node
    return [{ variable: node.name, start, end }]
  }
  return Object.entries(node).flatMap(([key, child]) => {
    const isName = (key === 'property' || key === 'key') && !node.computed
    return isName ? [] : [child].flat().flatMap((each) => (each?.type ? usesIn(each, loads, node) : []))
  })
}

function apply(edits, code) {
  let text = ''
  let at = 0
  for (const { start, end, text: inserted } of edits.toSorted((a, b) => a.start - b.start)) {
    text += code.slice(at, start) + inserted
    at = end
  }
  return text + code.slice(at)
}

function loadAtFirstCall(code, name) {
  const exported = new RegExp(`^exports\\.${name} = (load_\\w+\\(\\)\\.${name});$`, 'm')
  if (!exported.test(code)) throw new Error(`The entry point has no function ${name} from another file.`)
  return code.replace(exported, `exports.${name} = function ${name}(...args) {\n\treturn $1(...args);\n};`)
}
