// Preact, its hooks, signals and htm in one module, so that there is one Preact.
import { h } from 'preact';
import htm from 'htm';

export { h, render, Fragment } from 'preact';
export { useCallback, useEffect, useErrorBoundary, useId, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
export { batch, computed, effect, signal, untracked, useComputed, useSignal, useSignalEffect } from '@preact/signals';
export { memo } from './memo.js';

export const html = htm.bind(h);
