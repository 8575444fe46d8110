#!/usr/bin/env bash
# Refreshes the vendored modules of the web board, and axe-core for its tests.
# Needs Node; building, running and testing the board need Go alone.
set -euo pipefail
cd "$(dirname "$0")"
out=../../http/ui/static/vendor
licences=../../http/ui/licences
axe=../../http/ui/testdata/axe.min.js

npm ci --no-audit --no-fund --silent
mkdir -p "$out" "$licences" "$(dirname "$axe")"
rm -f "$out"/*.js "$licences"/*.txt
npx esbuild src/preact.js src/dnd.js src/announce.js src/markdown.js src/chart.js \
	--bundle --format=esm --minify --target=es2022 --legal-comments=none --define:process.env.NODE_ENV='"production"' --outdir="$out"
for name in preact htm @preact/signals @atlaskit/pragmatic-drag-and-drop @atlaskit/pragmatic-drag-and-drop-auto-scroll \
	@atlaskit/pragmatic-drag-and-drop-hitbox @atlaskit/pragmatic-drag-and-drop-live-region chart.js marked dompurify axe-core; do
	version=$(node -p "require('./node_modules/$name/package.json').version")
	licence=$(find "node_modules/$name" -maxdepth 1 -iname 'licen[sc]e*' | sort | head -1)
	{
		echo "$name $version"
		echo
		cat "$licence"
	} > "$licences/$(tr / - <<<"${name#@}").txt"
done
cp node_modules/axe-core/axe.min.js "$axe"
