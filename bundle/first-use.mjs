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
        if (call) loads.set(variable, code.slice(call.start, call.end))
        edits.push({ ...statement, text: call ? loader(variable, loads.get(variable)) : '' })
      }
      for (const statement of body) if (!loadIn(statement)) findUses(statement, loads, edits)
      const text = apply(edits, code).replaceAll(getter, (all, exported) =>
        new RegExp(`^let ${exported}\\b`, 'm').test(code) ? all : `exports.${exported} = ${exported};`,
      )
      return (functions[name] ?? []).reduce(loadAtFirstCall, text)
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

function loader(variable, call) {
  const name = nameOf(variable)
  return `let loaded_${name};\nfunction load_${name}() {\n\treturn loaded_${name} ??= ${call};\n}`
}

function nameOf(variable) {
  return variable.replace(/^require_/, '')
}

/** Finds each use of a variable that had a module. */
function findUses(node, loads, edits, parent, grandparent) {
  if (node.type === 'Identifier' && loads.has(node.name)) {
    const isOfNode = loads.get(node.name).startsWith('require("node:')
    if (parent.type !== 'MemberExpression') throw new Error(`${node.name} must only be used for its members.`)
    const whole = isOfNode && parent.property.name === 'default' ? parent : node
    // `new load_x().Class()` would be `(new load_x()).Class()`.
    const isConstructed = (whole === node ? grandparent : undefined)?.type === 'NewExpression'
    const text = `load_${nameOf(node.name)}()`
    edits.push({ start: whole.start, end: whole.end, text: isConstructed ? `(${text})` : text })
    return
  }
  for (const [key, child] of Object.entries(node)) {
    // Names that are no variables.
    if ((key === 'property' || key === 'key') && !node.computed) continue
    for (const each of [child].flat()) if (each?.type) findUses(each, loads, edits, node, parent)
  }
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
