"""What belongs to a run folder."""

from lnl.runs.folder import RunFolder


def test_folds_are_numbered_and_a_run_on_a_folder_of_pictures_is_none(tmp_path):
    """Runs of data=folder have names such as folder-none-cnn_wide-baseline-ce-seed0-1a2b3c4d."""
    for name in ("fold2", "fold1", "fold10", "folder-none-cnn-baseline-ce-seed0-1a2b3c4d", "folds"):
        (tmp_path / name).mkdir()
        (tmp_path / name / RunFolder(tmp_path).marker.name).touch()
    assert {fold.path.name for fold in RunFolder(tmp_path).folds()} == {"fold1", "fold2", "fold10"}
