// A plugin for TypeDoc: a {@link} to what a file does not import is found by its name among all that the package exports.

/** @param {import('typedoc').Application} app */
export function load(app) {
  let exported
  app.converter.addUnknownSymbolResolver(({ symbolReference, moduleSource = 'deadpeer' }, from) => {
    if (moduleSource !== 'deadpeer' || !symbolReference?.path) return undefined
    const modules = from.project.children
    exported ??= new Map(modules.flatMap(({ children = [] }) => children).map((one) => [one.name, one]))
    const [{ path: name }, ...members] = symbolReference.path
    const target = members.reduce((one, { path }) => one?.getChildByName([path]), exported.get(name))
    return target && { target, caption: symbolReference.path.map(({ path }) => path).join('.') }
  })
}
