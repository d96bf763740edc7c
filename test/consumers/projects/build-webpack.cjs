const webpack = require('webpack')

const options = {
  mode: 'production',
  target: 'node',
  entry: './app.mjs',
  output: { path: `${__dirname}/out`, filename: 'app.cjs' },
  ...(process.argv[2] === 'external'
    ? { externals: [/^deadpeer/], externalsType: 'commonjs' }
    : { module: { rules: [{ test: /\.node$/, loader: 'node-loader' }] } }),
}
webpack(options, (error, stats) => {
  if (!error && !stats.hasErrors() && !stats.hasWarnings()) return
  console.error(error ?? stats.toString({ all: false, errors: true, warnings: true }))
  process.exit(1)
})
