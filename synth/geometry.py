"""Plane geometry of ground truth: boxes in the plane where text was laid out, quadrilaterals in image pixels.

x goes right, y down; the top left pixel covers [0, 1) x [0, 1). A box is (x0, y0, x1, y1). A quadrilateral is (4, 2):
the corners top left, top right, bottom right, bottom left of what was drawn, as a reader of the text would name them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

IDENTITY: Floats = np.eye(3)


def translation(x: float, y: float) -> Floats:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def scaling(x: float, y: float) -> Floats:
    return np.diag([x, y, 1.0])


def rotation(degrees: float, x: float = 0.0, y: float = 0.0) -> Floats:
    """Clockwise on the screen (y goes down), about the point (x, y)."""
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    turned = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    moved: Floats = translation(x, y) @ turned @ translation(-x, -y)
    return moved


def homography(source: Floats, target: Floats) -> Floats:
    """The (3, 3) matrix that takes four points (4, 2) to four others. Raises ValueError where three lie on a line.

    Hartley and Zisserman, Multiple View Geometry, 2nd edition, section 4.1: the direct linear transform.
    """
    rows = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    matrix = np.array(rows, dtype=np.float64)
    if np.linalg.matrix_rank(matrix) < 8:
        raise ValueError("no homography: three of the four points lie on a line")
    solved = np.linalg.solve(matrix, np.asarray(target, dtype=np.float64).reshape(-1))
    return np.append(solved, 1.0).reshape(3, 3)


def apply(matrix: Floats, points: Floats) -> Floats:
    """Points (..., 2) through a (3, 3) homography."""
    points = np.asarray(points, dtype=np.float64)
    x, y = points[..., 0], points[..., 1]
    w = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2]
    u = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    v = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    return np.stack([u / w, v / w], axis=-1)


def corners(boxes: NDArray[np.floating]) -> Floats:
    """Corners (n, 4, 2) of boxes (n, 4)."""
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    around: Floats = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    return around


def bounds(boxes: NDArray[np.floating]) -> Floats:
    """The box (4,) around all boxes (n, 4), n at least 1."""
    around: Floats = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)]).astype(np.float64)
    return around


def grouped_bounds(boxes: NDArray[np.floating], groups: NDArray[np.integer]) -> tuple[NDArray[np.intp], Floats]:
    """Boxes around the boxes (n, 4) of each group: the groups' numbers in order, below 0 left out, and (m, 4)."""
    order = np.argsort(groups, kind="stable")
    order = order[np.searchsorted(groups[order], 0) :]
    wanted, first = np.unique(groups[order], return_index=True)
    if not len(wanted):
        return wanted, np.zeros((0, 4))
    inside = boxes[order].astype(np.float64)
    out = np.empty((len(wanted), 4))
    out[:, :2] = np.minimum.reduceat(inside[:, :2], first)
    out[:, 2:] = np.maximum.reduceat(inside[:, 2:], first)
    return wanted, out
