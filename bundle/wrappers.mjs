/**
 * A rolldown plugin: beside each entry point `index.js`, which is CommonJS, writes `index.mjs` for `import`, with declarations. So `import` and
 * `require` give the same objects. Each export is named here, because Node finds only some forms of CommonJS exports.
 */
export function wrapForImport() {
  return {
    name: 'wrap-for-import',
    generateBundle(_, bundle) {
      for (const { isEntry, fileName, exports } of Object.values(bundle)) {
        if (!isEntry || fileName.startsWith('cli/')) continue
        const file = `./${fileName.split('/').at(-1)}`
        const names = exports.filter((name) => name !== 'default')
        const hasDefault = names.length < exports.length
        const code = [
          `import all from '${file}'`,
          ...names.map((name) => `export const ${name} = all.${name}`),
          ...(hasDefault ? ['export default all.default'] : []),
        ]
        const declarations = [
          `export * from '${file}'`,
          ...(hasDefault
            ? [`declare const standard: typeof import('${file}').default`, 'export default standard']
            : []),
        ]
        this.emitFile({ type: 'asset', fileName: fileName.replace(/js$/, 'mjs'), source: lines(code) })
        this.emitFile({
          type: 'asset',
          fileName: fileName.replace(/js$/, 'd.mts'),
          source: lines(declarations),
        })
      }
      this.emitFile({ type: 'asset', fileName: 'package.json', source: '{ "type": "commonjs" }\n' })
    },
  }
}

function lines(list) {
  return `${list.join('\n')}\n`
}
