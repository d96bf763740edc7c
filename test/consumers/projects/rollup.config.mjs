import commonjs from '@rollup/plugin-commonjs'
import resolve from '@rollup/plugin-node-resolve'

export default {
  input: 'app.mjs',
  output: { file: 'out/app.mjs', format: 'es' },
  external: [/^deadpeer/, /^node:/],
  plugins: [resolve(), commonjs()],
}
